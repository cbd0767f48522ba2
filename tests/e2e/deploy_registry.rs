//! The bindings beside the committed artifacts, digests beside the contract's own, and what the
//! journal's fold makes of deployments.

use std::collections::BTreeSet;

use alloy::{
    primitives::{Address, B256, U256},
    sol,
    sol_types::{Eip712Domain, SolCall, SolError, SolEvent, SolStruct, eip712_domain},
};
use openlora_chain::registry::{
    AttributionAnchor, BatchSettlementEscrow as Escrow, ContributorPool, ContributorPoolFactory,
    DevelopmentToken, IdentityRegistry, OpenLoraRegistry as Registry, RevenueSplitter,
    RevenueSplitterFactory, ServerDirectory, Token, explain,
};
use openlora_contracts::ABIS;
use openlora_ledger::{
    event::{Event, EventRecord, ReleaseDeployment, TxIntent, TxOutcome},
    state::{ApplyOutcome, LedgerState},
};
use openlora_package::{read, release::ReleaseStatement};
use openlora_release::{
    deploy::{DeployContext, ReleaseParams, id_of, payout, registration},
    eip712::{digest, typed_release},
};
use serde_json::{Value, json};

use crate::{
    deploy_support::{contract, own_about, package},
    devnet_support::Local,
    keys::{OWN, account},
};

fn selectors(contract: &str, kind: &str) -> BTreeSet<String> {
    let (_, text) = ABIS.iter().find(|(name, _)| *name == contract).unwrap();
    let artifact: Value = serde_json::from_str(text).unwrap();
    let abi: alloy::json_abi::JsonAbi = serde_json::from_value(artifact["abi"].clone()).unwrap();
    match kind {
        "function" => abi
            .functions()
            .map(|it| it.selector().to_string())
            .collect(),
        "event" => abi.events().map(|it| it.selector().to_string()).collect(),
        _ => abi.errors().map(|it| it.selector().to_string()).collect(),
    }
}

fn has<C: SolCall>(contract: &str) {
    let selector = format!("0x{}", alloy::hex::encode(C::SELECTOR));
    let known = selectors(contract, "function");
    assert!(
        known.contains(&selector),
        "{contract} has no {}",
        C::SIGNATURE
    );
}

fn tells<E: SolEvent>(contract: &str) {
    let known = selectors(contract, "event");
    let hash = E::SIGNATURE_HASH.to_string();
    assert!(known.contains(&hash), "{contract} has no {}", E::SIGNATURE);
}

#[test]
fn every_binding_is_in_the_artifacts() {
    has::<Registry::registerCall>("OpenLoraRegistry");
    has::<Registry::publishVersionCall>("OpenLoraRegistry");
    has::<Registry::setServerCall>("OpenLoraRegistry");
    has::<Registry::multicallCall>("OpenLoraRegistry");
    has::<Registry::adapterCall>("OpenLoraRegistry");
    has::<Registry::releaseCall>("OpenLoraRegistry");
    has::<Registry::isServerCall>("OpenLoraRegistry");
    has::<Registry::ownerOfCall>("OpenLoraRegistry");
    has::<Registry::splitterFactoryCall>("OpenLoraRegistry");
    has::<Registry::releaseDigestCall>("OpenLoraRegistry");
    has::<Registry::registrationDigestCall>("OpenLoraRegistry");
    has::<RevenueSplitterFactory::predictCall>("RevenueSplitterFactory");
    has::<RevenueSplitter::sharesCall>("RevenueSplitter");
    has::<RevenueSplitter::totalReleasedCall>("RevenueSplitter");
    has::<ContributorPoolFactory::createCall>("ContributorPoolFactory");
    has::<ContributorPoolFactory::predictCall>("ContributorPoolFactory");
    has::<ContributorPool::sharesCall>("ContributorPool");
    has::<ContributorPool::termsCall>("ContributorPool");
    has::<ContributorPool::quorumCall>("ContributorPool");
    has::<ContributorPool::accountOfCall>("ContributorPool");
    has::<ContributorPool::receivedCall>("ContributorPool");
    has::<ContributorPool::owedCall>("ContributorPool");
    has::<ContributorPool::sumsOfCall>("ContributorPool");
    has::<ContributorPool::hashOfCall>("ContributorPool");
    has::<ContributorPool::proposeCall>("ContributorPool");
    has::<ContributorPool::activateCall>("ContributorPool");
    has::<ContributorPool::contestCall>("ContributorPool");
    has::<ContributorPool::demandCall>("ContributorPool");
    has::<ContributorPool::divideStaticallyCall>("ContributorPool");
    has::<ContributorPool::claimCall>("ContributorPool");
    tells::<ContributorPool::AllotmentProposed>("ContributorPool");
    tells::<ContributorPool::AllotmentActivated>("ContributorPool");
    tells::<ContributorPool::StaticallyDivided>("ContributorPool");
    tells::<ContributorPool::Claimed>("ContributorPool");
    has::<AttributionAnchor::headOfCall>("AttributionAnchor");
    has::<RevenueSplitter::releasedCall>("RevenueSplitter");
    has::<RevenueSplitter::pendingCall>("RevenueSplitter");
    has::<RevenueSplitter::releaseCall>("RevenueSplitter");
    has::<ContributorPool::pullCall>("ContributorPool");
    tells::<RevenueSplitter::Released>("RevenueSplitter");
    tells::<Registry::AdapterRegistered>("OpenLoraRegistry");
    tells::<Registry::ReleasePublished>("OpenLoraRegistry");
    tells::<Registry::ServerSet>("OpenLoraRegistry");
    tells::<Registry::ServersCleared>("OpenLoraRegistry");
    tells::<Registry::PauseSet>("OpenLoraRegistry");
    has::<ServerDirectory::announceCall>("ServerDirectory");
    has::<ServerDirectory::urlOfCall>("ServerDirectory");
    tells::<RevenueSplitterFactory::SplitterCreated>("RevenueSplitterFactory");
    tells::<AttributionAnchor::Anchored>("AttributionAnchor");
    let unknown = format!(
        "0x{}",
        alloy::hex::encode(Registry::AdapterUnknown::SELECTOR)
    );
    assert!(selectors("OpenLoraRegistry", "error").contains(&unknown));
}

#[test]
fn every_binding_of_the_registry_of_agents_is_in_the_artifact() {
    const AGENTS: &str = "DevelopmentIdentityRegistry";
    has::<IdentityRegistry::registerCall>(AGENTS);
    has::<IdentityRegistry::setAgentURICall>(AGENTS);
    has::<IdentityRegistry::tokenURICall>(AGENTS);
    has::<IdentityRegistry::ownerOfCall>(AGENTS);
    has::<IdentityRegistry::getMetadataCall>(AGENTS);
    tells::<IdentityRegistry::Registered>(AGENTS);
}

#[test]
fn every_binding_of_payments_is_in_the_artifacts() {
    const ESCROW: &str = "BatchSettlementEscrow";
    has::<Escrow::depositCall>(ESCROW);
    has::<Escrow::claimCall>(ESCROW);
    has::<Escrow::settleCall>(ESCROW);
    has::<Escrow::refundCall>(ESCROW);
    has::<Escrow::initiateWithdrawCall>(ESCROW);
    has::<Escrow::finalizeWithdrawCall>(ESCROW);
    has::<Escrow::multicallCall>(ESCROW);
    has::<Escrow::channelsCall>(ESCROW);
    has::<Escrow::pendingWithdrawalsCall>(ESCROW);
    has::<Escrow::refundNonceCall>(ESCROW);
    has::<Escrow::receiversCall>(ESCROW);
    has::<Escrow::getChannelIdCall>(ESCROW);
    tells::<Escrow::Deposited>(ESCROW);
    tells::<Escrow::Claimed>(ESCROW);
    tells::<Escrow::Settled>(ESCROW);
    tells::<Escrow::Refunded>(ESCROW);
    tells::<Escrow::WithdrawInitiated>(ESCROW);
    tells::<Escrow::WithdrawFinalized>(ESCROW);
    has::<DevelopmentToken::mintCall>("DevelopmentToken");
    has::<Token::balanceOfCall>("DevelopmentToken");
    has::<Token::authorizationStateCall>("DevelopmentToken");
    has::<Token::transferWithAuthorizationCall>("DevelopmentToken");
    tells::<Token::Transfer>("DevelopmentToken");
    tells::<Token::AuthorizationUsed>("DevelopmentToken");
}

#[test]
fn errors_are_told_by_name_with_their_values() {
    sol! {
        error NotAdapterOwner(uint256 id, address caller, address owner);
        error DigestMissing(string field);
        error RecipientDuplicate(uint256 index, address recipient);
        error Error(string reason);
        error Panic(uint256 code);
        error Unheard(uint256 of);
    }
    let own: Address = OWN.parse().unwrap();
    let cases = [
        (
            NotAdapterOwner {
                id: U256::from(7),
                caller: own,
                owner: Address::ZERO,
            }
            .abi_encode(),
            format!(
                "NotAdapterOwner(id 7, caller {OWN}, owner \
                 0x0000000000000000000000000000000000000000)"
            ),
        ),
        (
            DigestMissing {
                field: "weightsHash".into(),
            }
            .abi_encode(),
            "DigestMissing(field \"weightsHash\")".into(),
        ),
        (
            RecipientDuplicate {
                index: U256::from(1),
                recipient: own,
            }
            .abi_encode(),
            format!("RecipientDuplicate(index 1, recipient {OWN})"),
        ),
        (
            Error {
                reason: "not today".into(),
            }
            .abi_encode(),
            "\"not today\"".into(),
        ),
        (
            Panic {
                code: U256::from(0x11),
            }
            .abi_encode(),
            "panic: arithmetic underflow or overflow (0x11)".into(),
        ),
        (
            Unheard { of: U256::ZERO }.abi_encode(),
            format!(
                "0x{}",
                alloy::hex::encode(Unheard { of: U256::ZERO }.abi_encode())
            ),
        ),
        (Vec::new(), "it gives no reason".into()),
        (vec![1, 2], "0x0102".into()),
    ];
    for (data, expected) in cases {
        assert_eq!(explain(&data), expected);
    }
    // Every error of every artifact has a name here.
    let (mut all, mut nameless) = (0, Vec::new());
    for (name, _) in ABIS {
        for selector in selectors(name, "error") {
            all += 1;
            let data = [alloy::hex::decode(&selector).unwrap(), vec![0; 32 * 8]];
            let told = explain(&data.concat());
            if told.starts_with("0x") {
                nameless.push((name, selector));
            }
        }
    }
    assert!(all > 60);
    assert_eq!(nameless, vec![]);
}

/// A registration as EIP-712 knows it, with its types in order.
mod typed {
    alloy::sol! {
        struct Release {
            bytes32 manifestSha256;
            bytes32 baseRoot;
            bytes32 datasetsRoot;
            uint128 price;
            string uri;
        }
        struct Share {
            address recipient;
            uint32 ppm;
        }
        struct Registration {
            address publisher;
            bytes32 weightsHash;
            uint16 royaltyBps;
            Release release;
            Share[] shares;
            address[] servers;
            uint256 deadline;
        }
    }
}

#[test]
fn digests_equal_those_that_the_contract_computes() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Local::with_contracts(dir.path());
    let package = read(&package(dir.path(), "first", &own_about("1.0.0"))).unwrap();
    let registry = contract("OpenLoraRegistry");
    let ask = |data: Vec<u8>| -> B256 {
        let call = json!([{ "to": registry, "data": alloy::hex::encode_prefixed(data) }, "latest"]);
        let answer = chain.ok("eth_call", call);
        answer.as_str().unwrap().parse().unwrap()
    };
    let statement: ReleaseStatement = package.envelope.as_ref().unwrap().statement();
    let call = Registry::releaseDigestCall {
        statement: typed_release(&statement.release),
    };
    assert_eq!(ask(call.abi_encode()), digest(&statement));

    let goods = ReleaseParams::from_package(&package).unwrap();
    let pool = "0x00000000000000000000000000000000000000C3"
        .parse()
        .unwrap();
    let shares = payout(&goods).unwrap().shares(Some(pool)).unwrap();
    let own = account(crate::keys::OWN_KEY).address();
    let place = DeployContext {
        registry: registry.parse().unwrap(),
        pool_factory: contract("ContributorPoolFactory").parse().unwrap(),
        account: own,
        server: own,
        price: 1_000,
        uri: "oci://registry.example/ada/tone@sha256:00".into(),
    };
    let made = registration(&goods, &shares, &place);
    let deadline = U256::from(1_900_000_000_u64);
    let call = Registry::registrationDigestCall {
        publisher: own.into(),
        registration: made.clone(),
        deadline,
    };
    let typed = typed::Registration {
        publisher: own.into(),
        weightsHash: made.weightsHash,
        royaltyBps: made.royaltyBps,
        release: typed::Release {
            manifestSha256: made.release.manifestSha256,
            baseRoot: made.release.baseRoot,
            datasetsRoot: made.release.datasetsRoot,
            price: made.release.price,
            uri: made.release.uri.clone(),
        },
        shares: made
            .shares
            .iter()
            .map(|it| typed::Share {
                recipient: it.recipient,
                ppm: it.ppm,
            })
            .collect(),
        servers: made.servers.clone(),
        deadline,
    };
    let domain: Eip712Domain = eip712_domain! {
        name: "OpenLoraRegistry",
        version: "1",
        chain_id: 31_337,
        verifying_contract: registry.parse().unwrap(),
    };
    assert_eq!(ask(call.abi_encode()), typed.eip712_signing_hash(&domain));
    let sum: u32 = shares.iter().map(|it| it.ppm).sum();
    assert_eq!(sum, 1_000_000);
    assert!(shares.is_sorted_by_key(|it| it.recipient));
    assert_ne!(id_of(own, made.weightsHash), U256::ZERO);
}

#[test]
fn the_snapshot_lists_deployments_and_what_is_open() {
    let intent = |tx: &str| {
        Event::TransactionIntended(Box::new(TxIntent {
            tx: tx.into(),
            chain_id: 31_337,
            genesis: None,
            from: OWN.into(),
            to: OWN.into(),
            nonce: 0,
            purpose: "a test".into(),
            key: None,
            raw: "0x02".into(),
            replaces: None,
            sponsored: None,
        }))
    };
    let deployed = |version, tx: &str| {
        Event::Deployed(Box::new(ReleaseDeployment {
            name: "tone".into(),
            release: "1.0.0".into(),
            network: "local".into(),
            chain_id: 31_337,
            registry: OWN.into(),
            adapter_id: "0x01".into(),
            version,
            publisher: OWN.into(),
            manifest_sha256: "00".into(),
            weights_sha256: "00".into(),
            splitter: OWN.into(),
            tx: tx.into(),
            gas_used: 1,
            block: 1,
        }))
    };
    let events = [
        intent("0xa"),
        intent("0xb"),
        Event::TransactionConfirmed {
            tx: "0xa".into(),
            status: TxOutcome::Succeeded,
            gas_used: Some(1),
            block: Some(1),
            fee: None,
        },
        deployed(1, "0xa"),
        deployed(1, "0xb"),
        deployed(2, "0xc"),
    ];
    let mut snapshot = LedgerState::default();
    for (index, event) in events.into_iter().enumerate() {
        let text = serde_json::to_string(&event).unwrap();
        let event = serde_json::from_str(&text).unwrap();
        let record = EventRecord {
            sequence: index as u64 + 1,
            time_ms: 1,
            event,
            hash: String::new(),
        };
        assert_eq!(snapshot.apply(&record), ApplyOutcome::Folded);
    }
    let open: Vec<&str> = snapshot.unsettled.iter().map(|it| it.tx.as_str()).collect();
    let known: Vec<(u32, &str)> = snapshot
        .deployments
        .iter()
        .map(|it| (it.version, it.tx.as_str()))
        .collect();
    assert_eq!((open, known), (vec!["0xb"], vec![(1, "0xb"), (2, "0xc")]));
}
