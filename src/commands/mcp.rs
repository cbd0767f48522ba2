//! `mcp`: adapters as tools of an agent, which pay for their calls. Standard output belongs to the
//! protocol.

use super::{
    CommandContext,
    payer::PayerRequest,
    proxy::{open, stopped_by_signals},
};
use openlora_core::error::{ExitStatus, Failure};
use openlora_market::{CallerKeys, serve_tools_on_stdio};

/// Answers until the agent closes standard input, or until SIGINT or SIGTERM.
pub async fn run(context: &CommandContext, request: PayerRequest) -> Result<ExitStatus, Failure> {
    let opened = open(context, &request, CallerKeys::default()).await?;
    let payer = opened.buyer.payer();
    let budget = payer.money(payer.budget);
    context.printer.note(format!(
        "tools of this agent are paid from {}, at most {budget} a day",
        payer.account.address()
    ));
    serve_tools_on_stdio(opened, stopped_by_signals()?).await?;
    Ok(ExitStatus::Success)
}
