//! A second `serve` in a home: its adapters are served by the server that runs there, because a home
//! has one journal and one account.

use super::{ServeRequest, ServerReady, choose, one_server};
use crate::commands::{
    CommandContext,
    settings::{SettingOrigin, SettingValue},
};
use openlora_chain::network::Network;
use openlora_core::error::{ExitStatus, Failure};
use openlora_runtime::running_server::RunningServer;
use openlora_serve::LoadOutcome;

/// Settings that a running server keeps, whatever a second command says.
const KEPT: &[&str] = &[
    "base.id",
    "serve.engine",
    "serve.from_registry",
    "serve.host",
    "serve.parallel",
    "serve.port",
    "serve.prompt_filter",
    "serve.quant",
];

/// Has the running server serve the adapters too. `networks` are where the calls are to be paid; none
/// if they are to be free.
///
/// # Errors
///
/// The server answers under other terms, or one of the adapters cannot be served by it; the others
/// stay loaded.
pub(super) async fn hand_over(
    context: &CommandContext,
    request: &ServeRequest,
    networks: Option<&[Network]>,
    server: &RunningServer,
) -> Result<ExitStatus, Failure> {
    check_terms(request, networks, server)?;
    let printer = &context.printer;
    let chosen = choose(context, &request.adapters, request.folder.as_deref())?;
    let mut names = Vec::with_capacity(chosen.len());
    for one in chosen {
        let loaded = server.load_adapter(&one.name, &one.adapter.dir).await?;
        printer.note(outcome_note(server, &one.name, loaded.outcome));
        names.push(one.name);
    }
    let kept: Vec<&str> = KEPT.iter().filter_map(|key| given(context, key)).collect();
    if !kept.is_empty() {
        printer.note(format!(
            "that server keeps its own settings: {} changed nothing",
            kept.join(", ")
        ));
    }
    if printer.is_json() {
        let networks: Vec<&str> = networks
            .into_iter()
            .flatten()
            .map(|it| it.name.as_str())
            .collect();
        let network = match networks.is_empty() {
            true => "local".to_owned(),
            false => networks.join(","),
        };
        printer.json(&ServerReady {
            url: server.url(),
            adapters: &names,
            network: &network,
        });
    }
    Ok(ExitStatus::Success)
}

/// What became of an adapter that a running server was asked to serve.
pub fn outcome_note(server: &RunningServer, name: &str, outcome: LoadOutcome) -> String {
    let url = server.url();
    match outcome {
        LoadOutcome::Loaded => format!("the server at {url} serves {name} too, from now on"),
        LoadOutcome::Replaced => {
            format!("the server at {url} serves this {name} from now on, instead of the former one")
        }
        LoadOutcome::Unchanged => format!("the server at {url} serves {name} already"),
    }
}

fn check_terms(
    request: &ServeRequest,
    networks: Option<&[Network]>,
    server: &RunningServer,
) -> Result<(), Failure> {
    if request.rotate_tokens {
        let what = "makes new tokens only when it starts";
        return Err(one_server(server, what));
    }
    match networks {
        None if !server.is_free() => Err(one_server(server, "takes payment for calls")),
        Some(_) if server.is_free() => Err(one_server(server, "answers calls free of charge")),
        networks => {
            let mut asked = networks.into_iter().flatten();
            match asked.find(|network| !server.is_on(network.chain_id)) {
                Some(network) => Err(RunningServer::network_mismatch(network)),
                None => Ok(()),
            }
        }
    }
}

/// The flag that set a key, if it asks for something; any free port is the running server's.
fn given<'a>(context: &'a CommandContext, key: &str) -> Option<&'a str> {
    match context.settings.get(key)? {
        (SettingValue::Integer(0), _) => None,
        (_, SettingOrigin::Flag { flag }) => Some(flag),
        _ => None,
    }
}
