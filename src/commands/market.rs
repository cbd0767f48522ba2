//! The market as the settings describe it: HTTP towards servers, and the catalog of the network's
//! registry.

use super::{CommandContext, network};
use openlora_chain::provider::Chain;
use openlora_core::error::{ExitClass, Failure};
use openlora_market::{AdapterReference, Catalog, MarketHttp};

/// Looks adapters and servers up.
pub struct MarketAccess {
    pub catalog: Catalog,
    pub http: MarketHttp,
    pub chain: Chain,
}

/// Checks that a text which is written as `NAME@0xREGISTRY` names a registry.
///
/// # Errors
///
/// What stands for the registry is no address.
pub fn check_registry(text: &str) -> Result<(), Failure> {
    let Some(registry) = AdapterReference::wrong_registry(text) else {
        return Ok(());
    };
    let message = format!(
        "`{text}` names no registry: expected 0x and 40 hexadecimal digits behind the @, found \
         `{registry}`"
    );
    Err(Failure::new(ExitClass::Usage, message).with_hint("`openlora explore` shows the registry"))
}

/// The network's registry, reachable.
///
/// # Errors
///
/// The chain does not answer, or `--offline` forbids calling servers.
pub async fn open(context: &CommandContext) -> Result<MarketAccess, Failure> {
    let network = network::reached(context).await?;
    if context.offline && !network.is_local() {
        let message = "--offline forbids calling servers of a registry";
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("leave --offline out, or name a server on this machine with --url"));
    }
    // Servers of a development chain are on this machine.
    let http = MarketHttp::new(network.is_local(), context.settings.call.timeout)?;
    let chain = Chain::connect(&network).await?;
    Ok(MarketAccess {
        catalog: Catalog::new(chain.clone(), http.clone()),
        http,
        chain,
    })
}
