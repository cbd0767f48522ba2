//! `receipts show --why`: the contributors of an answer, as explained by the server that gave it.

use serde_json::Value;

use super::unknown;
use crate::commands::{
    CommandContext,
    call::client::{ServerClient, is_id},
    printer::Printer,
};
use openlora_core::{
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_line,
};
use openlora_ledger::event::{AttributionMethod, TracedSpan};
use openlora_payments::payer::PayerStore;
use openlora_runtime::running_server::RunningServer;
use openlora_serve::attribution::published::{
    AttributionStage, PublishedAttribution, PublishedShare,
};

/// Asks the named server, the one that was paid, or the one that runs in this home.
pub(super) async fn run(
    context: &CommandContext,
    id: &str,
    url: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => server(context, id).await?,
    };
    let found = ask(context, &url, id).await?;
    match context.printer.is_json() {
        true => context.printer.json(&found),
        false => print_attribution(&context.printer, &found),
    }
    Ok(ExitStatus::Success)
}

async fn server(context: &CommandContext, id: &str) -> Result<String, Failure> {
    let store = PayerStore::open(&context.dirs.data)?;
    if let Some(record) = store.payment_record(id)? {
        return Ok(record.server);
    }
    let running = RunningServer::find(&context.dirs).await?;
    running
        .map(|server| server.url().to_owned())
        .ok_or_else(|| unknown(id).with_hint("name the server that answered: --url URL"))
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

fn percent(ppm: u32) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

fn print_attribution(printer: &Printer, found: &PublishedAttribution) {
    let line = |text: String| printer.line(text);
    let adapter = found.adapter.as_deref().unwrap_or("its adapter");
    match found.stage {
        AttributionStage::Final => line(format!("{} by {adapter}: {}", found.id, how(found))),
        AttributionStage::Provisional => line(format!(
            "{} by {adapter}: its attribution waits; this is what its text repeats",
            found.id
        )),
    }
    for share in &found.shares {
        line(shared(share));
    }
    for example in &found.examples {
        let owner = example
            .owner
            .map_or(String::new(), |it| format!(" of {it}"));
        line(format!(
            "  example {} by {}{owner}: {} of the influence",
            example.example,
            example.contributor,
            percent(example.ppm)
        ));
        if let Some(text) = &example.text {
            line(format!("    {text}"));
        }
    }
    if let Some(trace) = &found.trace {
        line(format!(
            "  {} runs of tokens that training text has too cover {} of the answer",
            trace.spans.len(),
            percent(trace.covered_ppm)
        ));
        trace.spans.iter().for_each(|span| line(spanned(span)));
    }
    for amount in found.amounts.iter().flatten() {
        line(format!(
            "  paid {} millionths of a base unit to {}",
            amount.micro, amount.recipient
        ));
    }
}

fn how(found: &PublishedAttribution) -> String {
    let ppm = |ppm: Option<u32>| percent(ppm.unwrap_or_default());
    match (found.method, &found.fallback) {
        (_, Some(why)) => format!("static shares, because of {why}"),
        (Some(AttributionMethod::Static) | None, None) => "static shares".to_owned(),
        (Some(method), None) => format!(
            "{} decides {} of the shares, spans {} of that; confidence {}",
            format!("{method:?}").to_lowercase(),
            ppm(found.evidence_ppm),
            ppm(found.trace_ppm),
            ppm(found.confidence_ppm)
        ),
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
    format!(
        "    tokens {} to {}: in {} documents, such as {of}",
        span.start,
        span.start + span.tokens,
        span.documents
    )
}
