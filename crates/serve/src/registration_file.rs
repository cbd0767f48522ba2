//! The registration file of an agent by ERC-8004: what it is, where it is called, and in which
//! registries it has an identity.
//!
//! Form: <https://eips.ethereum.org/EIPS/eip-8004>.

use serde_json::{Number, Value, json};

use super::{
    adapter_registry::ServedAdapter,
    listing::ICON_PATH,
    page::{ServerFacts, path_of},
    standings::AgentIdentity,
};

const TYPE: &str = "https://eips.ethereum.org/EIPS/eip-8004#registration-v1";

/// How the answers of an adapter can be trusted: by what buyers report, and by computing them again.
const TRUST: [&str; 2] = ["reputation", "re-execution"];

/// The file of an adapter.
pub fn of_adapter(
    server: &ServerFacts,
    adapter: &ServedAdapter,
    identities: &[AgentIdentity],
) -> Value {
    let page = path_of(&adapter.name);
    let services = json!([
        { "name": "web", "endpoint": format!("{}{page}", server.url) },
        {
            "name": "OpenAI",
            "endpoint": format!("{}/v1", server.url),
            "version": "v1",
            "model": adapter.name,
        },
    ]);
    file(
        server,
        &adapter.name,
        &adapter.summary(),
        services,
        identities,
    )
}

/// The file of a server with several adapters, which has their identities.
pub fn of_server(
    server: &ServerFacts,
    adapters: &[&ServedAdapter],
    identities: &[AgentIdentity],
) -> Value {
    let names: Vec<&str> = adapters.iter().map(|it| it.name.as_str()).collect();
    let services = json!([
        { "name": "web", "endpoint": format!("{}/", server.url) },
        { "name": "OpenAI", "endpoint": format!("{}/v1", server.url), "version": "v1" },
    ]);
    let description = match names.is_empty() {
        true => "No adapter is served now.".to_owned(),
        false => format!("Adapters of language models: {}.", names.join(", ")),
    };
    file(server, &server.host, &description, services, identities)
}

fn file(
    server: &ServerFacts,
    name: &str,
    description: &str,
    services: Value,
    identities: &[AgentIdentity],
) -> Value {
    let registrations = identities
        .iter()
        .map(|it| json!({ "agentId": number(&it.agent_id), "agentRegistry": it.registry_name() }));
    json!({
        "type": TYPE,
        "name": name,
        "description": description,
        "image": format!("{}{ICON_PATH}", server.url),
        "services": services,
        "x402Support": !server.is_free,
        "active": true,
        "registrations": registrations.collect::<Vec<_>>(),
        "supportedTrust": TRUST,
    })
}

/// The number of an identity; a text where it is larger than JSON's numbers are read.
fn number(agent_id: &str) -> Value {
    let small = agent_id.parse::<u64>().ok();
    small.map_or_else(|| json!(agent_id), |id| Value::Number(Number::from(id)))
}
