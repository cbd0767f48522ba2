//! Plans the steps of a release from its parameters and the on-chain state. Pure: no chain access,
//! no clock.

use alloy::{
    primitives::{B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};

use super::{error::DeployError, release_params::ReleaseParams};
use openlora_chain::registry::{
    ContributorPoolFactory, OpenLoraRegistry as Registry, Registration, Release, Share, shown_id,
};
use openlora_core::{Address, Word, exact_percent, in_units};
use openlora_ledger::TxKey;
use openlora_package::manifest::CONTRIBUTORS;

/// The challenge period of an allotment, in seconds.
pub const POOL_DELAY: u32 = 24 * 60 * 60;
/// The static shares that must contest an allotment to reject it, in ppm: more than half.
pub const POOL_QUORUM: u32 = 500_001;
/// Maximum recipients of a splitter or pool.
const MOST: usize = 200;

/// The contract that pays the contributors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPool {
    pub operator: Address,
    pub shares: Vec<Share>,
    pub salt: B256,
}

/// The recipients. Shares are sorted by recipient; the pool's is added once its address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevenuePayout {
    direct: Vec<Share>,
    /// The contributors' share in ppm, and the pool that divides it.
    pub pool: Option<(u32, PlannedPool)>,
}

/// The on-chain state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryState {
    pub adapter: Option<SeenAdapter>,
    /// The pool's address and whether it exists.
    pub pool: Option<(Address, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAdapter {
    pub id: U256,
    pub owner: Address,
    pub version: u32,
    pub manifest_sha256: B256,
    /// Whether the requested server may already serve it.
    pub has_server: bool,
}

/// The steps needed in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryAction {
    /// The newest version is exactly this release.
    Nothing,
    Register,
    Publish,
    /// The release is registered, but its server is not authorised.
    Authorise,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployStep {
    pub to: Address,
    pub contract: &'static str,
    pub data: Bytes,
    /// What identifies it in the journal.
    pub key: TxKey,
    /// A description: "registering tone 1.0.0".
    pub deed: String,
    /// The call's name and its decoded arguments.
    pub call: String,
    pub arguments: Vec<(&'static str, CallValue)>,
}

/// A decoded argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallValue {
    Text(String),
    /// Parts per million.
    Part(u32),
    Shares(Vec<Share>),
    /// Of what the adapter's kind is priced by, in base units of a token with six decimals.
    Price {
        amount: u128,
        work: &'static str,
    },
}

impl CallValue {
    pub(super) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// With the integers that the contract receives.
    pub fn raw(&self) -> String {
        let part = |ppm: u32| format!("{ppm} ppm");
        match self {
            Self::Text(text) => text.clone(),
            Self::Part(ppm) => part(*ppm),
            Self::Shares(shares) => list(shares, part),
            Self::Price { amount, .. } => amount.to_string(),
        }
    }

    /// For people: parts in percent, and a price in a token of this symbol.
    pub fn shown(&self, symbol: &str) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Part(ppm) => exact_percent(*ppm),
            Self::Shares(shares) => list(shares, exact_percent),
            Self::Price { amount, work } => {
                format!("{} {symbol} for {work}", in_units(*amount, 6))
            }
        }
    }
}

fn list(shares: &[Share], part: impl Fn(u32) -> String) -> String {
    let shown = |share: &Share| {
        let recipient = share.recipient.to_checksum(None);
        format!("{recipient} {}", part(share.ppm))
    };
    shares.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// All steps, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployPlan {
    pub action: RegistryAction,
    pub adapter_id: U256,
    /// The version number of the release afterwards.
    pub version: u32,
    pub shares: Vec<Share>,
    pub steps: Vec<DeployStep>,
    /// The splitter of a new version.
    pub splitter: Option<Address>,
}

impl DeployPlan {
    /// Whether a new version is registered.
    pub fn is_new(&self) -> bool {
        matches!(
            self.action,
            RegistryAction::Register | RegistryAction::Publish
        )
    }

    /// Sets the splitter of the version, so that it can be shown before signing.
    pub fn paid_at(mut self, splitter: Address) -> Self {
        self.splitter = Some(splitter);
        if let Some(last) = self.steps.last_mut() {
            last.arguments
                .push(("makes splitter", CallValue::text(splitter)));
        }
        self
    }
}

/// Addresses and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployContext {
    pub registry: Address,
    pub pool_factory: Address,
    pub account: Address,
    pub server: Address,
    /// Per 1 000 generated tokens, or per picture, in base units of a token with six decimals.
    pub price: u128,
    /// Where the package can be fetched; empty if nowhere.
    pub uri: String,
}

fn ppm(ppm: u64) -> u32 {
    // A manifest's shares sum to a million.
    u32::try_from(ppm).unwrap_or(u32::MAX)
}

fn share(recipient: Address, parts: u64) -> Share {
    Share {
        recipient: recipient.into(),
        ppm: ppm(parts),
    }
}

fn sorted(what: &'static str, mut shares: Vec<Share>) -> Result<Vec<Share>, DeployError> {
    shares.sort_by_key(|share| share.recipient);
    let found = shares.len();
    if found == 0 || found > MOST {
        let limit = MOST;
        return Err(DeployError::Recipients { what, found, limit });
    }
    Ok(shares)
}

/// Divides the release's split into direct recipients and the pool.
pub fn payout(params: &ReleaseParams) -> Result<RevenuePayout, DeployError> {
    let mut payout = RevenuePayout {
        direct: Vec::new(),
        pool: None,
    };
    for split in &params.split {
        match split.address {
            Some(address) => payout.direct.push(share(address, split.ppm)),
            None if split.role == CONTRIBUTORS => {
                payout.pool = Some((ppm(split.ppm), pool(params)?));
            }
            None => {
                let role = split.role.clone();
                return Err(DeployError::NoAddress { role });
            }
        }
    }
    Ok(payout)
}

fn pool(params: &ReleaseParams) -> Result<PlannedPool, DeployError> {
    let owed = params.contributors.iter().filter(|one| one.static_ppm > 0);
    let shares = owed.map(|one| match one.address {
        Some(address) => Ok(share(address, one.static_ppm)),
        None => Err(DeployError::NoContributorAddress {
            name: one.name.clone(),
            ppm: one.static_ppm,
        }),
    });
    let shares: Vec<Share> = shares.collect::<Result<_, _>>()?;
    Ok(PlannedPool {
        operator: params.publisher,
        shares: sorted("the contributors' pool", shares)?,
        salt: params.manifest_sha256,
    })
}

impl RevenuePayout {
    /// The splitter's shares, with the pool at `pool`.
    pub fn shares(&self, pool: Option<Address>) -> Result<Vec<Share>, DeployError> {
        let mut shares = self.direct.clone();
        if let (Some((ppm, _)), Some(address)) = (&self.pool, pool) {
            shares.push(share(address, u64::from(*ppm)));
        }
        sorted("the split", shares)
    }
}

/// The id of an adapter: a hash of its publisher and the digest of its first weights.
pub fn id_of(publisher: Address, weights_sha256: B256) -> U256 {
    let publisher = alloy::primitives::Address::from(publisher);
    U256::from_be_bytes(keccak256((publisher, weights_sha256).abi_encode()).0)
}

/// Computes the plan.
pub fn plan(
    params: &ReleaseParams,
    payout: &RevenuePayout,
    seen: &RegistryState,
    place: &DeployContext,
) -> Result<DeployPlan, DeployError> {
    let shares = payout.shares(seen.pool.map(|(address, _)| address))?;
    if let Some(adapter) = &seen.adapter
        && adapter.owner != place.account
    {
        return Err(DeployError::OtherOwner {
            id: shown_id(adapter.id),
            owner: adapter.owner,
            account: place.account,
        });
    }
    let (action, adapter_id, version) = match &seen.adapter {
        None => {
            let id = id_of(place.account, params.weights_sha256);
            (RegistryAction::Register, id, 1)
        }
        Some(it) if it.manifest_sha256 != params.manifest_sha256 => {
            (RegistryAction::Publish, it.id, it.version + 1)
        }
        Some(it) if it.has_server => (RegistryAction::Nothing, it.id, it.version),
        Some(it) => (RegistryAction::Authorise, it.id, it.version),
    };
    let mut steps = Vec::new();
    if matches!(action, RegistryAction::Register | RegistryAction::Publish)
        && let (Some((_, pool)), Some((address, false))) = (&payout.pool, seen.pool)
    {
        steps.push(create_pool(params, pool, address, place));
    }
    let has_server = seen.adapter.as_ref().is_some_and(|it| it.has_server);
    match action {
        RegistryAction::Nothing => {}
        RegistryAction::Register => steps.push(register(params, &shares, place)),
        RegistryAction::Publish => {
            steps.push(publish(params, &shares, place, adapter_id, has_server))
        }
        RegistryAction::Authorise => steps.push(authorise(params, place, adapter_id)),
    }
    Ok(DeployPlan {
        action,
        adapter_id,
        version,
        shares,
        steps,
        splitter: None,
    })
}

fn create_pool(
    params: &ReleaseParams,
    pool: &PlannedPool,
    address: Address,
    place: &DeployContext,
) -> DeployStep {
    let call = ContributorPoolFactory::createCall {
        operator: pool.operator.into(),
        delay: POOL_DELAY,
        quorum: POOL_QUORUM,
        shares: pool.shares.clone(),
        salt: pool.salt,
    };
    DeployStep {
        to: place.pool_factory,
        contract: "ContributorPoolFactory",
        data: call.abi_encode().into(),
        key: TxKey::Create { contract: address },
        deed: format!(
            "creating the contributors' pool of {} {}",
            params.name, params.release
        ),
        call: "create".to_owned(),
        arguments: vec![
            ("operator", CallValue::text(pool.operator)),
            ("delay", CallValue::Text(format!("{POOL_DELAY} s"))),
            ("quorum", CallValue::Part(POOL_QUORUM)),
            ("shares", CallValue::Shares(pool.shares.clone())),
            ("salt", CallValue::text(pool.salt)),
            ("makes", CallValue::text(address)),
        ],
    }
}

fn release(params: &ReleaseParams, place: &DeployContext) -> Release {
    Release {
        manifestSha256: params.manifest_sha256,
        baseRoot: params.base_root,
        datasetsRoot: params.datasets_root,
        price: place.price,
        uri: place.uri.clone(),
    }
}

fn release_arguments(
    params: &ReleaseParams,
    shares: &[Share],
    place: &DeployContext,
) -> Vec<(&'static str, CallValue)> {
    let uri = match place.uri.as_str() {
        "" => "none",
        uri => uri,
    };
    vec![
        ("manifestSha256", CallValue::text(params.manifest_sha256)),
        ("baseRoot", CallValue::text(params.base_root)),
        ("datasetsRoot", CallValue::text(params.datasets_root)),
        (
            "price",
            CallValue::Price {
                amount: place.price,
                work: params.priced_work,
            },
        ),
        ("uri", CallValue::text(uri)),
        ("shares", CallValue::Shares(shares.to_vec())),
    ]
}

/// The registration of a first release.
pub fn registration(
    params: &ReleaseParams,
    shares: &[Share],
    place: &DeployContext,
) -> Registration {
    Registration {
        weightsHash: params.weights_sha256,
        royaltyBps: 0,
        release: release(params, place),
        shares: shares.to_vec(),
        servers: vec![place.server.into()],
    }
}

fn register(params: &ReleaseParams, shares: &[Share], place: &DeployContext) -> DeployStep {
    let registration = registration(params, shares, place);
    let mut arguments = vec![
        ("weightsHash", CallValue::text(params.weights_sha256)),
        ("royaltyBps", CallValue::text(0)),
    ];
    arguments.extend(release_arguments(params, shares, place));
    arguments.push(("servers", CallValue::text(place.server)));
    DeployStep {
        to: place.registry,
        contract: "OpenLoraRegistry",
        data: Registry::registerCall { registration }.abi_encode().into(),
        key: TxKey::Register {
            registry: place.registry,
            manifest: Word(params.manifest_sha256.0),
        },
        deed: format!("registering {} {}", params.name, params.release),
        call: "register".to_owned(),
        arguments,
    }
}

fn publish(
    params: &ReleaseParams,
    shares: &[Share],
    place: &DeployContext,
    id: U256,
    has_server: bool,
) -> DeployStep {
    let call = Registry::publishVersionCall {
        id,
        next: release(params, place),
        shares: shares.to_vec(),
    };
    let mut arguments = vec![("id", CallValue::Text(shown_id(id)))];
    arguments.extend(release_arguments(params, shares, place));
    let (mut name, mut data) = ("publishVersion", Bytes::from(call.abi_encode()));
    if !has_server {
        let data_of_both = vec![data, set_server(id, place.server)];
        data = Registry::multicallCall { data: data_of_both }
            .abi_encode()
            .into();
        name = "multicall of publishVersion and setServer";
        arguments.push(("server", CallValue::text(place.server)));
    }
    DeployStep {
        to: place.registry,
        contract: "OpenLoraRegistry",
        data,
        key: TxKey::Publish {
            registry: place.registry,
            manifest: Word(params.manifest_sha256.0),
        },
        deed: format!("publishing {} {}", params.name, params.release),
        call: name.to_owned(),
        arguments,
    }
}

fn set_server(id: U256, server: Address) -> Bytes {
    let call = Registry::setServerCall {
        id,
        server: server.into(),
        authorised: true,
    };
    call.abi_encode().into()
}

fn authorise(params: &ReleaseParams, place: &DeployContext, id: U256) -> DeployStep {
    DeployStep {
        to: place.registry,
        contract: "OpenLoraRegistry",
        data: set_server(id, place.server),
        key: TxKey::Authorise {
            registry: place.registry,
            adapter: shown_id(id),
            server: place.server,
        },
        deed: format!("authorising {} to serve {}", place.server, params.name),
        call: "setServer".to_owned(),
        arguments: vec![
            ("id", CallValue::Text(shown_id(id))),
            ("server", CallValue::text(place.server)),
            ("authorised", CallValue::text(true)),
        ],
    }
}
