//! `search`: finds adapters in the registry and in lists of paid resources.

use super::{CommandContext, market, printer::Printer};
use openlora_chain::{balance::shown_amount, network::Network};
use openlora_core::{
    calendar::moment,
    error::{ExitStatus, Failure},
    exact_percent,
    private::foreign_text::clean_line,
};
use openlora_market::{
    DiscoveredResource, SearchQuery, SearchReport, SearchRow, ServerAddress, search,
};
use openlora_payments::payer::PayerStore;
use openlora_release::deploy::priced_work;

/// The longest text of strangers on a line.
const LONGEST: usize = 80;

/// The request of `search` besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    pub text: String,
    pub limit: usize,
    /// Lists that are searched besides those of the settings.
    pub discovery: Vec<String>,
}

pub async fn run(context: &CommandContext, request: SearchRequest) -> Result<ExitStatus, Failure> {
    let listed = context.settings.search.discovery.iter();
    let endpoints = listed.chain(&request.discovery);
    let endpoints = endpoints.map(|text| ServerAddress::by_user(text));
    let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
    let access = market::open(context).await?;
    let query = SearchQuery {
        text: request.text,
        limit: request.limit,
        endpoints,
        paid: PayerStore::open(&context.dirs.data)?.payment_records()?,
    };
    let report = search(&access.catalog, &access.http, &query).await?;
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&report);
    } else {
        print_report(printer, &access.chain.network, &report);
    }
    Ok(ExitStatus::Success)
}

fn print_report(printer: &Printer, network: &Network, report: &SearchReport) {
    for (index, row) in report.adapters.iter().enumerate() {
        if index > 0 {
            printer.line("");
        }
        print_adapter(printer, network, report, row);
    }
    for (index, resource) in report.resources.iter().enumerate() {
        if index > 0 || !report.adapters.is_empty() {
            printer.line("");
        }
        print_resource(printer, network, resource);
    }
    for problem in &report.problems {
        printer.warn(clean_line(problem));
    }
    if report.adapters.is_empty() && report.resources.is_empty() {
        printer.note(format!("nothing was found on `{}`", report.network));
    }
    if report.left_out > 0 {
        printer.note(format!("{} more; raise --limit", report.left_out));
    }
}

/// A stranger's text on a line: cleaned and bounded.
fn short(text: &str) -> String {
    let text = clean_line(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn print_adapter(printer: &Printer, network: &Network, report: &SearchReport, row: &SearchRow) {
    let name = row
        .name
        .as_deref()
        .map_or("(no server answers)".to_owned(), short);
    let task = row
        .task
        .as_deref()
        .map_or(String::new(), |it| format!(", {}", short(it)));
    printer.line(format!("{name}{task}"));
    printer.line(format!("  adapter     {}", row.adapter_id));
    let since = moment(row.registered_at);
    printer.line(format!(
        "  publisher   {}, registered {since}",
        row.publisher
    ));
    if row.namesakes > 0 {
        let count = row.namesakes;
        printer.line(format!("  same name   {count} more in this registry"));
    }
    let symbol = network.payment_symbol();
    let decimals = network.token.as_ref().map_or(6, |token| token.decimals);
    let smallest = row
        .smallest_call
        .as_deref()
        .map_or(String::new(), |amount| {
            let amount = shown_amount(amount, decimals);
            format!(", smallest call at most {amount} {symbol}")
        });
    printer.line(format!(
        "  price       {} {symbol} for {}{smallest}",
        shown_amount(&row.price, 6),
        priced_work(row.task.as_deref() == Some("image"))
    ));
    for server in &row.servers {
        let seen = server
            .answered_ms
            .map_or(String::new(), |time| format!(", your calls took {time} ms"));
        let url = short(&server.url);
        printer.line(format!(
            "  server      {url}, {} ms{seen}",
            server.latency_ms
        ));
    }
    let repeated = row.repeat_payers_ppm.map_or(String::new(), |share| {
        format!(", {} of its payers came back", exact_percent(share))
    });
    printer.line(format!(
        "  calls       {} anchored, as its servers state{repeated}",
        row.calls
    ));
    if let Some(metrics) = &row.evaluation {
        printer.line(format!("  evaluation  {}", short(&metrics.to_string())));
    }
    if let (Some(name), Some(registry)) = (&row.name, &report.registry) {
        let name = match row.namesakes {
            0 => short(name),
            _ => row.adapter_id.clone(),
        };
        printer.line(format!(
            "  buy         openlora call --adapter {name}@{registry} TEXT"
        ));
    }
}

fn print_resource(printer: &Printer, network: &Network, resource: &DiscoveredResource) {
    let name = resource
        .name
        .as_deref()
        .map_or("(no name)".to_owned(), short);
    printer.line(format!("{name}, by a list of paid resources"));
    printer.line(format!("  at          {}", short(&resource.url)));
    if let Some(text) = &resource.description {
        printer.line(format!("  about       {}", short(text)));
    }
    let amount = resource.amount.parse().unwrap_or_default();
    let price = network.token_amount(&resource.token, amount);
    printer.line(format!("  price       at most {price}"));
    printer.line(format!("  pays        {}", resource.pay_to));
}
