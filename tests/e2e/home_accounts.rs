//! A home that has signed with more than one account: what each earned is claimed, anchored, proposed
//! and paid out by that account, and every command says the same about it.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
};

use openlora_chain::{
    development,
    network::{Network, NetworkOptions},
    provider::Chain as Connected,
    registry::parse_id,
};
use openlora_core::in_units;
use openlora_journal::Journal;
use openlora_ledger::{
    ReceiverKey,
    event::{Event, SplitRead},
};
use openlora_package::build::PackageMetadata;
use openlora_payments::rewards::split_of;
use openlora_wallet::WalletAccount;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    deploy_support::{Chain, contract, own_about, package_by},
    devnet_support::Home,
    keys::{ADDRESS, KEY, OWN, OWN_KEY, account},
    paid_serving::shop::Payer,
    rewards_chain::{call, transfer},
    support::{Invocation, openlora},
};

/// The development account that signs without a wallet.
const CREATOR: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A home without a wallet, on a chain of its own.
struct Shop {
    chain: Chain,
    home: Home,
    runtime: Runtime,
    network: Network,
    calls: Cell<u64>,
}

/// An adapter that the home registered.
struct Listing {
    id: String,
    split: SplitRead,
    payer: Payer,
}

impl Listing {
    fn splitter(&self) -> String {
        self.split.receiver.receiver.to_string()
    }

    fn pool(&self) -> String {
        let mut parts = self.split.parts.iter();
        let pool = parts.find(|it| !it.members.is_empty()).unwrap();
        pool.recipient.to_string()
    }

    /// The creator's part of an income.
    fn creators(&self, income: u128) -> u128 {
        let mut parts = self.split.parts.iter();
        let own = parts.find(|it| it.members.is_empty()).unwrap();
        income * u128::from(own.ppm) / 1_000_000
    }
}

impl Shop {
    fn open() -> Self {
        let (chain, home) = (Chain::embedded(), Home::new());
        let text = format!("[network.local]\nrpc = \"{}\"\n", chain.url());
        fs::write(home.path().join("openlora.toml"), text).unwrap();
        fs::write(home.path().join("pw"), "correct horse\n").unwrap();
        let wish = NetworkOptions {
            rpc: Some(chain.url().to_owned()),
            registry: Some(contract("OpenLoraRegistry")),
            ..NetworkOptions::default()
        };
        Self {
            chain,
            home,
            runtime: Runtime::new().unwrap(),
            network: Network::resolve("local", &wish).unwrap(),
            calls: Cell::new(0),
        }
    }

    fn openlora(&self, args: &[&str]) -> Invocation {
        openlora(self.home.path())
            .env("OPENLORA_PASSWORD_FILE", "pw")
            .args(args.iter().copied())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let run = self.openlora(&["--json", "-q"]).args(args.iter().copied());
        serde_json::from_str(&run.run().succeeds().stdout).unwrap()
    }

    /// What `earnings`, `settle` and `withdraw` say on a terminal without notes.
    #[track_caller]
    fn said(&self, args: &[&str]) -> String {
        self.openlora(&["-q"])
            .args(args.iter().copied())
            .run()
            .succeeds()
            .stdout
    }

    fn imports(&self, name: &str, key: &str) {
        let file = self.home.path().join("key");
        fs::write(&file, key).unwrap();
        let import = ["wallet", "import", name, "--from", "key"];
        self.openlora(&import).run().succeeds();
        fs::remove_file(file).unwrap();
    }

    fn registers(&self, folder: &str, publisher: &WalletAccount, flags: &[&str]) -> Listing {
        let about = PackageMetadata {
            publisher: Some(publisher.address()),
            ..own_about("1.0.0")
        };
        package_by(publisher, &self.home.path().join(folder), &about);
        let deployed = self.json(&[&["deploy", folder], flags].concat());
        let id = deployed["adapter_id"].as_str().unwrap().to_owned();
        let (splitter, parts) = self.runtime.block_on(async {
            let connected = Connected::connect(&self.network).await.unwrap();
            split_of(&connected, parse_id(&id).unwrap(), 1)
                .await
                .unwrap()
        });
        let split = SplitRead {
            receiver: ReceiverKey {
                chain_id: 31_337,
                receiver: splitter,
                token: contract("DevelopmentToken").parse().unwrap(),
            },
            adapter: "tone".into(),
            version: 1,
            parts,
        };
        self.keep([Event::SplitRead(Box::new(split.clone()))]);
        Listing {
            payer: Payer::to(splitter, 7),
            id,
            split,
        }
    }

    fn keep(&self, events: impl IntoIterator<Item = Event>) {
        let path = self.home.path().join("home/data/journal.sqlite");
        let journal = Journal::open(&path).unwrap();
        for event in events {
            self.runtime.block_on(journal.append(event)).unwrap();
        }
    }

    /// Calls that were paid by transfers of their own, counted and attributed.
    fn serves(&self, listing: &Listing, count: u64, each: u128) {
        let (payer, split) = (&listing.payer, &listing.split);
        payer.funded(&self.chain.rpc(), each * u128::from(count));
        for _ in 0..count {
            let number = self.calls.get() + 1;
            self.calls.set(number);
            let paid = transfer(&self.chain, payer, split, number, each);
            let (counted, attributed) = call(payer, split, number, each);
            self.keep([paid, counted, attributed]);
        }
    }

    /// A figure of this home's accounts, as `earnings` says it.
    fn own(&self, figure: &str) -> BTreeMap<String, u128> {
        let report = self.json(&["earnings"]);
        let recipients = report["tokens"][0]["recipients"].as_array().unwrap();
        let own = recipients.iter().filter(|it| it["own"] == true);
        own.map(|it| (text(&it["account"]), sum(&it[figure])))
            .collect()
    }

    /// What the splitters hold for each recipient, as `explore` says it.
    fn pending(&self) -> BTreeMap<String, u128> {
        let explored = self.json(&["explore"]);
        let adapters = explored["adapters"].as_array().unwrap().iter();
        let releases = adapters.flat_map(|it| it["releases"].as_array().unwrap());
        let shares = releases.flat_map(|it| it["shares"].as_array().unwrap());
        let held = shares.filter(|it| !it["pending"].is_null());
        held.map(|it| (text(&it["recipient"]), sum(&it["pending"])))
            .collect()
    }

    /// The published calls of an adapter, which the chain and the package confirm.
    fn audited(&self, listing: &Listing, folder: &str) -> Value {
        let log = "home/data/attribution-log";
        let audit = ["audit", &listing.id, "--log", log, "--package", folder];
        let audited = self.json(&audit);
        assert_eq!(audited["differences"], json!([]), "{audited}");
        audited["calls"].clone()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn sum(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// Account and amount of each release.
fn released(report: &Value) -> BTreeMap<String, u128> {
    let releases = report["releases"].as_array().unwrap().iter();
    releases
        .map(|it| (text(&it["recipient"]), sum(&it["amount"])))
        .collect()
}

/// Adapter, account and number of calls of each root.
fn anchored(report: &Value) -> BTreeSet<(String, String, u64)> {
    let anchors = report["rewards"]["anchors"].as_array().unwrap().iter();
    anchors
        .map(|it| {
            let calls = it["calls"].as_u64().unwrap();
            (text(&it["adapter_id"]), text(&it["server"]), calls)
        })
        .collect()
}

fn developer(shop: &Shop) -> WalletAccount {
    let account = development::account(&shop.network, 1).unwrap();
    assert_eq!(account.address().to_string(), CREATOR);
    account
}

#[test]
fn a_wallet_made_after_the_first_sales_strands_no_reward() {
    let shop = Shop::open();
    let before = shop.registers("before", &developer(&shop), &[]);
    shop.serves(&before, 3, 1_000);
    shop.imports("me", OWN_KEY);
    let after = shop.registers("after", &account(OWN_KEY), &["--account", "me"]);
    shop.serves(&after, 2, 2_000);

    // Each adapter's calls are anchored by its own server.
    let settled = shop.json(&["settle"]);
    let expected = [
        (before.id.clone(), CREATOR.to_owned(), 3),
        (after.id.clone(), OWN.to_owned(), 2),
    ];
    assert_eq!(anchored(&settled), expected.into(), "{settled}");
    assert_eq!(settled["rewards"]["waiting"], json!([]), "{settled}");
    assert_eq!(settled["rewards"].get("problem"), None, "{settled}");

    // All commands name the same amounts for the same accounts.
    let due = BTreeMap::from([
        (CREATOR.to_owned(), before.creators(3_000)),
        (OWN.to_owned(), after.creators(4_000)),
    ]);
    assert_eq!(shop.own("fetchable"), due);
    let mut held = due.clone();
    held.insert(before.pool(), 3_000 - before.creators(3_000));
    held.insert(after.pool(), 4_000 - after.creators(4_000));
    assert_eq!(shop.pending(), held);
    let forecast = shop.json(&["withdraw", "--dry-run"]);
    assert_eq!(released(&forecast), held);
    assert_eq!(forecast["waiting"], json!([]));
    let earnings = shop.said(&["earnings"]);
    let explored = shop.said(&["explore"]);
    for (account, amount) in &due {
        let amount = in_units(*amount, 6);
        let line = format!(
            "to fetch      {amount:>12} dUSD  of it, {account}'s to fetch now: openlora withdraw\n"
        );
        assert!(earnings.contains(&line), "{line}{earnings}");
        let held = format!(", {amount} dUSD pending");
        let mut lines = explored.lines();
        let is_shown = lines.any(|it| it.contains(account) && it.ends_with(&held));
        assert!(is_shown, "{account}{held} {explored}");
    }

    // The dashboard has one row for each creator, with the same sums.
    let dash = shop.json(&["dash"]);
    let rows = dash["tokens"][0]["by_contributor"].as_array().unwrap();
    let creators = rows.iter().filter(|it| it["key"] == "creator");
    let creators: BTreeMap<String, u128> = creators
        .map(|it| (text(&it["address"]), sum(&it["micro"]) / 1_000_000))
        .collect();
    assert_eq!(creators, due);
    assert_eq!(creators, shop.own("earned"));

    // Each account is paid, once, and each pool's operator proposes.
    let withdrawn = shop.json(&["withdraw"]);
    assert_eq!(released(&withdrawn), held);
    let proposals = withdrawn["rewards"]["proposals"].as_array().unwrap().iter();
    let proposed: BTreeSet<String> = proposals.map(|it| text(&it["pool"])).collect();
    assert_eq!(proposed, [before.pool(), after.pool()].into());
    assert_eq!(withdrawn["rewards"]["waiting"], json!([]));
    assert_eq!(shop.own("fetched"), due);
    assert_eq!(shop.pending(), BTreeMap::new());
    for account in [CREATOR, OWN] {
        assert_eq!(shop.own("fetchable")[account], 0);
    }
    for verb in ["settle", "withdraw"] {
        let again = shop.json(&[verb]);
        assert_eq!(again["rewards"]["anchors"], json!([]), "{again}");
        assert_eq!(again["rewards"]["proposals"], json!([]), "{again}");
    }
    assert_eq!(shop.said(&["withdraw"]), "there is nothing to withdraw\n");

    // Both go on, and nothing is stated twice.
    shop.serves(&before, 1, 1_000);
    shop.serves(&after, 1, 2_000);
    let more = anchored(&shop.json(&["settle"]));
    let expected = [
        (before.id.clone(), CREATOR.to_owned(), 1),
        (after.id.clone(), OWN.to_owned(), 1),
    ];
    assert_eq!(more, expected.into());
    assert_eq!(shop.audited(&before, "before"), 4);
    assert_eq!(shop.audited(&after, "after"), 3);
}

/// Two accounts of the wallet, of which only one signs at a time.
#[test]
fn what_waits_for_another_account_is_named_with_the_command_that_uses_it() {
    let shop = Shop::open();
    shop.imports("me", OWN_KEY);
    shop.imports("rich", KEY);
    let mine = shop.registers("mine", &account(OWN_KEY), &["--account", "me"]);
    let other = shop.registers("other", &account(KEY), &["--account", "rich"]);
    shop.serves(&mine, 3, 1_000);
    shop.serves(&other, 2, 2_000);
    let waiting = |action: &str| {
        json!([{
            "adapter_id": other.id,
            "name": "tone",
            "action": action,
            "account": ADDRESS,
        }])
    };

    // Without the key of one adapter's server, the other adapter's rewards go on.
    let settled = shop.json(&["settle", "--account", "me"]);
    let expected = (mine.id.clone(), OWN.to_owned(), 3);
    assert_eq!(anchored(&settled), [expected].into(), "{settled}");
    assert_eq!(settled["rewards"]["waiting"], waiting("anchoring 2 calls"));
    assert_eq!(settled["rewards"].get("problem"), None);
    let text = shop.openlora(&["settle", "--account", "me"]).run();
    let warning = format!(
        "warning: rewards of tone wait: anchoring 2 calls needs the account {ADDRESS}\n\
         hint: openlora settle --account rich\n"
    );
    assert!(text.stderr.contains(&warning), "{}", text.stderr);

    // So do the payments.
    let theirs = other.creators(4_000);
    let forecast = shop.json(&["withdraw", "--account", "me", "--dry-run"]);
    let withdrawn = shop.json(&["withdraw", "--account", "me"]);
    let share = json!([{
        "recipient": ADDRESS,
        "receiver": other.splitter(),
        "token": contract("DevelopmentToken"),
        "amount": theirs.to_string(),
    }]);
    assert_eq!(forecast["waiting"], share);
    assert_eq!(withdrawn["waiting"], share);
    let expected = BTreeMap::from([
        (OWN.to_owned(), mine.creators(3_000)),
        (mine.pool(), 3_000 - mine.creators(3_000)),
        (other.pool(), 4_000 - theirs),
    ]);
    assert_eq!(released(&forecast), expected);
    assert_eq!(released(&withdrawn), expected);
    let fetchable = BTreeMap::from([(OWN.to_owned(), 0), (ADDRESS.to_owned(), theirs)]);
    assert_eq!(shop.own("fetchable"), fetchable);
    let amount = in_units(theirs, 6);
    let line = format!(
        "waiting       {amount} dUSD for {ADDRESS} from {}: openlora withdraw --account rich\n",
        other.splitter()
    );
    let said = shop.said(&["withdraw", "--account", "me"]);
    assert_eq!(said, line);
    let line = format!(
        "to fetch      {amount:>12} dUSD  of it, {ADDRESS}'s to fetch now: openlora withdraw \
         --account rich\n"
    );
    let said = shop.said(&["earnings"]);
    assert!(said.contains(&line), "{line}{said}");

    // The command in the hint does it. Then the pool waits for its operator.
    let settled = shop.json(&["settle", "--account", "rich"]);
    let expected = (other.id.clone(), ADDRESS.to_owned(), 2);
    assert_eq!(anchored(&settled), [expected].into(), "{settled}");
    let proposals = settled["rewards"]["proposals"].as_array().unwrap();
    let pools: Vec<String> = proposals.iter().map(|it| self::text(&it["pool"])).collect();
    assert_eq!(pools, [other.pool()]);
    let withdrawn = shop.json(&["withdraw", "--account", "rich"]);
    let expected = BTreeMap::from([(ADDRESS.to_owned(), theirs)]);
    assert_eq!(released(&withdrawn), expected);
    assert_eq!(withdrawn["waiting"], json!([]));

    // An account that this home no longer has.
    shop.serves(&other, 1, 2_000);
    let keystores = shop.home.path().join("home/data/keystores");
    for entry in fs::read_dir(keystores).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("rich") {
            fs::remove_file(path).unwrap();
        }
    }
    let settled = shop.json(&["settle"]);
    assert_eq!(settled["rewards"]["waiting"], waiting("anchoring 1 call"));
    let text = shop.openlora(&["settle"]).run();
    let hint = "hint: import that account: openlora wallet import NAME --from FILE; then openlora \
                settle --account NAME\n";
    assert!(text.stderr.contains(hint), "{}", text.stderr);
}
