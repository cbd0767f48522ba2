//! `receipts show --why`: the contributors of an answer, as explained by the server that gave it.

use serde_json::Value;

use super::{find, own_server, unknown};
use crate::commands::{
    CommandContext,
    call::client::{ServerClient, is_id},
    money::{KnownTokens, percent},
};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_line,
};
use openlora_ledger::{
    event::{AttributionMethod, TracedSpan},
    fallback_reason,
};
use openlora_payments::payer::PayerStore;
use openlora_serve::{
    PublishedReceipt,
    attribution::published::{
        AttributionStage, PublishedAttribution, PublishedShare, PublishedTrace,
    },
};

/// Asks the named server, the one that was paid, or the one that runs in this home.
pub(super) async fn run(
    context: &CommandContext,
    id: &str,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let record = find(&PayerStore::open(&context.dirs.data)?, id)?;
    let id = record.as_ref().map_or(id, |it| it.request_id.as_str());
    let url = match (url, &record) {
        (Some(url), _) => url.to_owned(),
        (None, Some(record)) => record.server.clone(),
        (None, None) => own_server(context)
            .await?
            .ok_or_else(|| unknown(id).with_hint("name the server that answered: --url URL"))?,
    };
    let found = ask(context, &url, id).await?;
    if context.printer.is_json() {
        context.printer.json(&found);
        return Ok(ExitStatus::Success);
    }
    let paid_in = match &record {
        Some(record) => Some((record.chain_id, record.token)),
        None => receipt_token(context, &url, id).await?,
    };
    let tokens = KnownTokens::read(context);
    let lines = explanation(&found, |micro| match paid_in {
        Some((chain, token)) => tokens.format_micro(chain, token, micro),
        None => format!("{} base units", openlora_core::in_units(micro.0, 6)),
    });
    lines.iter().for_each(|line| context.printer.line(line));
    Ok(ExitStatus::Success)
}

/// Chain and token of a call that was not paid from here, as its receipt states them.
async fn receipt_token(
    context: &CommandContext,
    url: &str,
    id: &str,
) -> Result<Option<(u64, Address)>, Failure> {
    let client = ServerClient::new(context, Some(url))?;
    let (status, body) = client.ask(&format!("/v1/receipts/{id}")).await?;
    if !status.is_success() {
        return Ok(None);
    }
    let receipt: PublishedReceipt = client.typed(&body)?;
    Ok(receipt.payment.map(|it| (it.chain_id, it.token)))
}

async fn ask(
    context: &CommandContext,
    url: &str,
    id: &str,
) -> Result<PublishedAttribution, Failure> {
    if !is_id(id) {
        return Err(unknown(id));
    }
    let client = ServerClient::new(context, Some(url))?;
    let path = format!("/v1/attributions/{id}");
    let (status, body) = client.ask(&path).await?;
    if !status.is_success() {
        let why = body.pointer("/error/message").and_then(Value::as_str);
        let asked = client.url(&path);
        let message = why.map_or_else(
            || format!("{asked} answers {status}"),
            |why| clean_line(why).into_owned(),
        );
        let class = match status.as_u16() {
            404 => ExitClass::BadInput,
            _ => ExitClass::Network,
        };
        return Err(Failure::new(class, message));
    }
    client.typed(&body)
}

/// An explanation in lines; `money` writes millionths of a base unit.
pub fn explanation(found: &PublishedAttribution, money: impl Fn(Amount) -> String) -> Vec<String> {
    let adapter = found.adapter.as_deref().unwrap_or("its adapter");
    let mut lines = vec![match found.stage {
        AttributionStage::Final => format!("{} by {adapter}: {}", found.id, how(found)),
        AttributionStage::Provisional => {
            let traced = match found.trace {
                Some(_) => "; this is what its text repeats",
                None => "",
            };
            format!("{} by {adapter}: its attribution waits{traced}", found.id)
        }
    }];
    lines.extend(found.shares.iter().map(shared));
    for example in &found.examples {
        let owner = example
            .owner
            .map_or(String::new(), |it| format!(" of {it}"));
        lines.push(format!(
            "  example {} by {}{owner}: {} of the influence",
            example.example,
            example.contributor,
            percent(example.ppm)
        ));
        lines.extend(example.text.iter().map(|text| format!("    {text}")));
    }
    if let Some(trace) = &found.trace {
        lines.push(format!("  {}", copied(trace)));
        lines.extend(trace.spans.iter().map(spanned));
    }
    let amounts = found.amounts.iter().flatten();
    lines.extend(amounts.map(|it| format!("  paid {} to {}", money(it.micro), it.recipient)));
    lines
}

fn how(found: &PublishedAttribution) -> String {
    let ppm = |ppm: Option<u32>| percent(ppm.unwrap_or_default());
    match (found.method, &found.fallback) {
        (_, Some(why)) => format!("static shares, because {}", fallback_reason(why)),
        (Some(AttributionMethod::Static) | None, None) => "static shares".to_owned(),
        (Some(method), None) => {
            // A picture repeats no phrases.
            let copied = found.trace.as_ref().map_or(String::new(), |_| {
                format!(", copied phrases {} of that", ppm(found.trace_ppm))
            });
            format!(
                "this call ({}) decides {} of the shares{copied}; of all influence, for and \
                 against the answer, the strongest contributor has {}",
                format!("{method:?}").to_lowercase(),
                ppm(found.evidence_ppm),
                ppm(found.confidence_ppm)
            )
        }
    }
}

/// How much of the answer the training text has too, word for word.
fn copied(trace: &PublishedTrace) -> String {
    let covered = percent(trace.covered_ppm);
    match trace.spans.len() {
        0 => "no phrase of the answer is in the training text".to_owned(),
        1 => format!("1 phrase, {covered} of the answer, is in the training text too"),
        many => format!("{many} phrases, {covered} of the answer, are in the training text too"),
    }
}

fn shared(share: &PublishedShare) -> String {
    let account = share.address.map_or(String::new(), |it| format!(" ({it})"));
    format!(
        "  {:>9}  {}{account}",
        percent(share.ppm),
        share.contributor
    )
}

fn spanned(span: &TracedSpan) -> String {
    let of = span.examples.first().map_or("?", String::as_str);
    let (start, documents) = (u64::from(span.start), span.documents);
    let end = start + u64::from(span.tokens);
    match documents {
        1 => format!("    tokens {start} to {end}: in 1 document, {of}"),
        _ => format!("    tokens {start} to {end}: in {documents} documents, such as {of}"),
    }
}
