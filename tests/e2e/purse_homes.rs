//! Purses and the chains and homes around them: a chain that begins anew, a home that was copied,
//! a limit on all that is in channels, and commands beside a server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Child,
};

use openlora_core::{Amount, calendar::moment, in_units};
use openlora_journal::Journal;
use openlora_payments::payer::{PayerChannelState, PayerStore};
use serde_json::{Value, json};

use crate::{
    deploy_support::contract,
    devnet_support::signal,
    live::{Live, golden, write_adapters},
    support::{Invocation, Run, openlora},
    waiting::wait_until,
    x402_buyers::serve,
};

/// A chain that the home in its folder keeps, sellers on it, and a buyer.
struct Market {
    dir: tempfile::TempDir,
    rpc: String,
}

impl Market {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = ["--json", "devnet", "start", "--port", "0"];
        let started = json_of(openlora(dir.path()).args(start).run());
        let market = Self {
            rpc: started["url"].as_str().unwrap().to_owned(),
            dir,
        };
        market.configure("buyer", "");
        market
    }

    /// A home's own settings.
    fn configure(&self, name: &str, more: &str) {
        let dir = self.dir.path().join(name);
        let own = dir.join("home/config");
        fs::create_dir_all(&own).unwrap();
        let text = format!("{more}[network.local]\nrpc = \"{}\"\n", self.rpc);
        fs::write(own.join("config.toml"), text).unwrap();
    }

    fn sells(&self, name: &str) -> Seller {
        self.configure(name, "");
        let dir = self.dir.path().join(name);
        let text = format!("[network.local]\nrpc = \"{}\"\n", self.rpc);
        fs::write(dir.join("openlora.toml"), text).unwrap();
        write_adapters(&dir);
        let (server, url) = serve(&dir);
        Seller { server, url }
    }

    fn of(&self, name: &str, args: &[&str]) -> Invocation {
        openlora(&self.dir.path().join(name)).args(args.iter().copied())
    }

    fn call(&self, name: &str, seller: &Seller) -> Run {
        self.call_at("0", name, seller)
    }

    /// Another request for the same price.
    fn call_at(&self, temperature: &str, name: &str, seller: &Seller) -> Run {
        let args = [
            "--json",
            "call",
            "hello",
            "--url",
            &seller.url,
            "--max-tokens",
            "8",
        ];
        self.of(name, &args)
            .args(["--temperature", temperature])
            .run()
    }

    #[track_caller]
    fn channels(&self, name: &str) -> Vec<Value> {
        let listed = json_of(self.of(name, &["--json", "channel", "list"]).run());
        listed.as_array().unwrap().clone()
    }

    fn purse(&self, name: &str) -> PayerStore {
        PayerStore::open(&self.dir.path().join(name).join("home/data")).unwrap()
    }

    fn spent(&self, name: &str) -> Amount {
        let token = contract("DevelopmentToken").parse().unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        self.purse(name).spent(31_337, token, now).unwrap()
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        let _ = openlora(self.dir.path()).args(["devnet", "stop"]).run();
    }
}

struct Seller {
    server: Child,
    url: String,
}

impl Drop for Seller {
    fn drop(&mut self) {
        signal(self.server.id(), "TERM");
        let _ = self.server.wait();
    }
}

#[track_caller]
fn json_of(run: Run) -> Value {
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn sum(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_first_call_on_a_chain_that_began_anew_succeeds() {
    let market = Market::open();
    for round in 0..3 {
        let seller = market.sells(&format!("seller-{round}"));
        let first = market.call("buyer", &seller).succeeds();
        assert!(!first.stderr.contains("refuse"), "{}", first.stderr);
        let channels = market.channels("buyer");
        assert_eq!(channels.len(), 1, "{channels:?}");
        assert_eq!(channels[0]["state"], "open");
        // What was put in on the chains before counts neither today nor as locked.
        let balance = Amount(sum(&channels[0]["balance"]));
        assert_eq!(market.spent("buyer"), balance);
        let purse = market.purse("buyer");
        let token = contract("DevelopmentToken").parse().unwrap();
        let left = Amount(sum(&channels[0]["left"]));
        assert_eq!(purse.locked(31_337, token).unwrap(), left);
        let known = purse.channels().unwrap();
        let ended = known
            .iter()
            .filter(|it| it.state == PayerChannelState::Ended);
        assert_eq!((ended.count(), known.len()), (round, round + 1));
        drop(purse);
        if round == 1 {
            // An earlier version wrote down no chain.
            let path = market.dir.path().join("buyer/home/data/purse.db");
            let file = rusqlite::Connection::open(path).unwrap();
            file.execute("DELETE FROM chains", []).unwrap();
        }
        drop(seller);
        let reset = ["devnet", "reset", "--yes"];
        openlora(market.dir.path()).args(reset).run().succeeds();
    }
}

#[test]
fn a_copied_home_is_told_why_its_channel_is_refused() {
    let market = Market::open();
    let seller = market.sells("seller");
    market.call("buyer", &seller).succeeds();
    let cost = sum(&market.channels("buyer")[0]["charged"]);
    let home = market.dir.path();
    copy(&home.join("buyer"), &home.join("copy"));
    market.call("buyer", &seller).succeeds();
    let channel = market.channels("buyer")[0]["channel"].clone();
    let before = market.spent("copy");
    // The very same request is its payer's, in whichever home it asks.
    let cost_of = |run: Run| json_of(run)["paid"].clone();
    assert_eq!(cost_of(market.call("copy", &seller)), json!(Amount(cost)));
    assert_eq!(sum(&market.channels("buyer")[0]["charged"]), 2 * cost);
    market.call("buyer", &seller).succeeds();
    let refused = market.call_at("0.1", "copy", &seller);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let text = &refused.stderr;
    let (server, channel) = (&seller.url, channel.as_str().unwrap());
    let message = format!("{server} refuses a payment from channel {channel}");
    assert!(text.contains(&message), "{text}");
    assert!(
        text.contains("in use from another home with the same account"),
        "{text}"
    );
    let typed = format!("openlora channel open {server} --amount AMOUNT");
    assert!(text.contains(&typed), "{text}");
    // Nothing more has left the account, and the seller was paid for its answers alone.
    let listed = market.channels("buyer");
    assert_eq!(listed.len(), 1);
    assert_eq!(market.channels("copy").len(), 1);
    assert!(market.spent("copy") <= before.saturating_add(Amount(sum(&listed[0]["balance"]))));
    // What it says to type helps, and the other home goes on as before.
    let open = ["channel", "open", server, "--amount", "0.002"];
    market.of("copy", &open).run().succeeds();
    market.call_at("0.1", "copy", &seller).succeeds();
    market.call("buyer", &seller).succeeds();
    let (ours, theirs) = (market.channels("buyer"), market.channels("copy"));
    assert_eq!((ours.len(), theirs.len()), (1, 2));
    assert_eq!(sum(&ours[0]["charged"]), 4 * cost, "{ours:?}");
    assert!(sum(&theirs[0]["charged"]) > 0, "{theirs:?}");
}

#[test]
fn all_that_is_in_channels_is_limited_over_sellers_and_days() {
    let market = Market::open();
    let one = market.sells("one");
    market.configure("buyer", "[call]\nmax_locked = \"0.003\"\n");
    let open = |amount: &str| {
        let open = ["channel", "open", &one.url, "--amount", amount];
        market.of("buyer", &open).run()
    };
    open("0.002").succeeds();
    let said = "error: this puts 0.0011 dUSD into a channel; of the 0.003 dUSD that \
                `call.max_locked` allows in channels at the same time, 0.002 dUSD are there\n";
    let refused = open("0.0011");
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    // Nothing was signed, and no empty channel is left behind.
    assert_eq!(market.purse("buyer").channels().unwrap().len(), 1);
    let channels = market.channels("buyer");
    let topup = ["channel", "topup", "--amount", "0.0011"];
    let refused = market.of("buyer", &topup).run();
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(market.channels("buyer"), channels);
    let shown = market.of("buyer", &["channel", "list"]).run().succeeds();
    let all = format!("{}{}", shown.stdout, shown.stderr);
    let total = "0.002 dUSD are in channels, of the 0.003 dUSD that `call.max_locked` allows";
    assert!(all.contains(total), "{all}");
    // Exactly as much as is allowed goes in, and what came back makes room.
    open("0.001").succeeds();
    let refused = open("0.0005");
    assert!(
        refused.stderr.contains("`call.max_locked`"),
        "{}",
        refused.stderr
    );
    let id = channels[0]["channel"].as_str().unwrap();
    market
        .of("buyer", &["channel", "withdraw", id])
        .run()
        .succeeds();
    assert_eq!(open("0.0005").code, 7);
    // A call puts in what there is room for, and pays from it.
    market.configure("buyer", "[call]\nmax_locked = \"0.0036\"\n");
    market.call("buyer", &one).succeeds();
    let held: u128 = market
        .channels("buyer")
        .iter()
        .map(|it| sum(&it["left"]))
        .sum();
    assert!(held <= 3_600, "{held}");
    drop(one);
}

#[test]
fn a_refused_channel_open_leaves_no_channel() {
    let market = Market::open();
    let seller = market.sells("seller");
    market.configure("buyer", "[call]\nbudget = \"0.001\"\n");
    let open = ["channel", "open", &seller.url, "--amount", "0.002"];
    let refused = market.of("buyer", &open).run();
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("`call.budget`"),
        "{}",
        refused.stderr
    );
    assert_eq!(market.channels("buyer"), Vec::<Value>::new());
    let call = [
        "call",
        "hello",
        "--url",
        &seller.url,
        "--max-price",
        "0.000001",
    ];
    assert_ne!(market.of("buyer", &call).run().code, 0);
    let purse = market.purse("buyer");
    assert_eq!(
        (purse.channels().unwrap(), purse.payment_records().unwrap()),
        (vec![], vec![])
    );
}

/// A server that sells is not asked, and goes on selling.
#[test]
fn commands_beside_a_selling_server_ask_the_chain() {
    let market = Market::open();
    let seller = market.sells("seller");
    market.call("buyer", &seller).succeeds();
    // A contributor without the server's home is told the same.
    let pool = format!("0x{:040x}", 1);
    let claim = ["claim", "--pool", &pool];
    let beside = market.of("seller", &claim).run();
    let elsewhere = market.of("buyer", &claim).run();
    assert_ne!(json!(beside.code), json!(0));
    assert_eq!(beside.code, elsewhere.code, "{}", beside.stderr);
    // The registry has the package that is served.
    let args = ["--json", "-q", "deploy", "pkg", "--dry-run"];
    let dry = json_of(market.of("seller", &args).run());
    assert_eq!(dry["transactions"], json!([]), "{dry}");
    let args = ["--json", "-q", "settle", "--dry-run"];
    let due = json_of(market.of("seller", &args).run());
    assert_eq!(due["claims"][0]["channels"], 1, "{due}");
    market.call_at("0.5", "buyer", &seller).succeeds();
}

/// `earnings` says what is the seller's own and what it can fetch.
#[test]
fn earnings_say_what_is_ours_and_what_can_be_fetched() {
    let market = Market::open();
    let seller = market.sells("seller");
    market.call("buyer", &seller).succeeds();
    market.call_at("0.5", "buyer", &seller).succeeds();
    let earned = || {
        let asked = market.of("seller", &["--json", "earnings"]);
        let report = json_of(asked.env("OPENLORA_PRICING_COIN", "2500").run());
        let token = report["tokens"][0].clone();
        assert_eq!(token["recipients"].as_array().unwrap().len(), 1, "{token}");
        token
    };
    let share = |token: &Value| {
        let own = &token["recipients"][0];
        assert_eq!(own["own"], true, "{own}");
        ["earned", "collected", "fetched", "fetchable"].map(|figure| sum(&own[figure]))
    };
    let before = earned();
    let charged = sum(&before["all"]["charged"]);
    assert!(charged > 0, "{before}");
    assert_eq!(share(&before), [charged, 0, 0, 0]);
    json_of(market.of("seller", &["--json", "settle"]).run());
    let settled = earned();
    assert_eq!(share(&settled), [charged, charged, 0, charged]);
    let (wei, gas) = (&settled["all"]["gas_wei"], &settled["all"]["gas"]);
    let price = (sum(wei) * 2_500_000_000).div_ceil(10u128.pow(18));
    assert!(price > 0, "{settled}");
    assert_eq!(sum(gas), price);
    let said = market.of("seller", &["-q", "earnings"]);
    let said = said
        .env("OPENLORA_PRICING_COIN", "2500")
        .run()
        .succeeds()
        .stdout;
    let (own, gas) = (in_units(charged, 6), in_units(price, 6));
    for line in [
        format!("yours         {own:>12} dUSD  of what was charged\n"),
        format!("fetched       {:>12} dUSD  of it, paid out to you\n", "0"),
        format!("to fetch      {own:>12} dUSD  of it, yours to fetch now: openlora withdraw\n"),
        format!(
            " from 2 calls, gas {} ETH ({gas} dUSD), net ",
            in_units(sum(wei), 18)
        ),
    ] {
        assert!(said.contains(&line), "{line}{said}");
    }
    json_of(market.of("seller", &["--json", "withdraw"]).run());
    assert_eq!(share(&earned()), [charged, charged, charged, 0]);
}

/// Account and amount of what a report lists.
fn by_account(entries: &Value, account: &str, figure: &str) -> BTreeMap<String, u128> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|it| (it[account].as_str().unwrap().to_owned(), sum(&it[figure])))
        .collect()
}

/// A seller without a wallet sells, makes one, and sells again: each account keeps what it earned, and
/// the server of the new one also settles what the old one served.
#[test]
fn what_was_sold_without_a_wallet_is_paid_out_after_one_is_made() {
    const CREATOR: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let market = Market::open();
    let dir = market.dir.path().join("seller");
    let journal = dir.join("home/data/journal.sqlite");
    let attributed = |calls: u64| {
        wait_until("the attribution", || {
            Journal::state_at(&journal).unwrap().attributed == calls
        });
    };
    let of = |args: &[&str]| {
        market
            .of("seller", args)
            .env("OPENLORA_PASSWORD_FILE", "pw")
    };
    let json = |args: &[&str]| json_of(of(&["--json", "-q"]).args(args.iter().copied()).run());

    // A killed server leaves its channel unclaimed and its call unanchored.
    let seller = market.sells("seller");
    market.call("buyer", &seller).succeeds();
    attributed(1);
    signal(seller.server.id(), "KILL");
    drop(seller);
    let base = golden("llama").display().to_string();
    let filter = ["package", "filter", "--out", "filter-pkg", "--base", &base];
    of(&filter).run().succeeds();
    of(&["deploy", "filter-pkg"]).run().succeeds();
    fs::write(dir.join("pw"), "correct horse battery\n").unwrap();
    let me = json(&["wallet", "new", "me", "--light-kdf"]);
    let me = me["address"].as_str().unwrap().to_owned();
    fs::remove_dir_all(dir.join("pkg")).unwrap();
    let package = ["package", "persona", "--out", "pkg", "--base", &base];
    of(&package).args(["--account", "me"]).run().succeeds();
    let mine = json(&["deploy", "pkg", "--account", "me"]);
    let serve = |adapter: &str| {
        let place = ["serve", "--local", "--json", "--port", "0"];
        let weights = ["--base", &base, "--quant", "f32", "--adapter", adapter];
        Live::of(of(&place).args(weights))
    };
    let server = serve("persona=persona");
    let call = ["call", "hello", "--url", &server.url, "--max-tokens", "8"];
    market.of("buyer", &call).run().succeeds();
    attributed(2);

    // The server settles for both accounts.
    let settled = json(&["settle"]);
    let claims = settled["claims"].as_array().unwrap();
    assert_eq!(claims.len(), 2, "{settled}");
    assert_eq!(settled["left_out"], json!([]));
    let anchors = settled["rewards"]["anchors"].as_array().unwrap().iter();
    let anchored: BTreeMap<&str, &str> = anchors
        .map(|it| {
            (
                it["server"].as_str().unwrap(),
                it["adapter_id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(anchored.len(), 2, "{settled}");
    assert_eq!(anchored[me.as_str()], mine["adapter_id"]);
    assert_ne!(anchored[CREATOR], mine["adapter_id"]);
    assert_eq!(settled["rewards"]["waiting"], json!([]), "{settled}");
    assert_eq!(settled["rewards"].get("problem"), None, "{settled}");
    let (code, _, said) = server.drain();
    assert_eq!(code, 0, "{said}");

    let report = json(&["earnings"]);
    let token = &report["tokens"][0];
    let due = by_account(&token["recipients"], "account", "fetchable");
    let accounts: Vec<&str> = due.keys().map(String::as_str).collect();
    assert_eq!(BTreeSet::from_iter(accounts), [CREATOR, me.as_str()].into());
    assert_eq!(due.values().sum::<u128>(), sum(&token["all"]["charged"]));
    assert!(due.values().all(|it| *it > 0), "{due:?}");
    let own = token["recipients"].as_array().unwrap().iter();
    assert!(own.clone().all(|it| it["own"] == true), "{token}");
    let forecast = json(&["withdraw", "--dry-run"]);
    assert_eq!(
        by_account(&forecast["releases"], "recipient", "amount"),
        due
    );
    let dash = json(&["dash"]);
    let rows = dash["tokens"][0]["by_contributor"].clone();
    let rows = by_account(&rows, "address", "micro").into_iter();
    let rows: BTreeMap<String, u128> = rows.map(|(who, it)| (who, it / 1_000_000)).collect();
    assert_eq!(rows, due);
    let withdrawn = json(&["withdraw"]);
    assert_eq!(
        by_account(&withdrawn["releases"], "recipient", "amount"),
        due
    );
    assert_eq!(withdrawn["waiting"], json!([]));
    let report = json(&["earnings"]);
    let token = &report["tokens"][0];
    assert_eq!(by_account(&token["recipients"], "account", "fetched"), due);
    let again = json(&["withdraw"]);
    assert_eq!(again["releases"], json!([]));
    of(&["earnings", "--audit"]).run().succeeds();

    // The adapter from before is served by its own account, whatever was registered since.
    let (code, _, said) = serve("filter=filter").drain();
    assert_eq!(code, 0, "{said}");
    let note = format!(
        "filter was registered without a wallet: signing with the development chain's account 1, \
         {CREATOR}, whose key everybody knows\n"
    );
    assert!(said.contains(&note), "{said}");
}

/// The buyer's list of what it paid; an id is given by its beginning.
#[test]
fn receipts_are_listed_and_shown_by_the_beginning_of_their_ids() {
    let market = Market::open();
    let seller = market.sells("seller");
    market.call("buyer", &seller).succeeds();
    market.call_at("0.5", "buyer", &seller).succeeds();
    let run = |args: &[&str]| market.of("buyer", args).run();
    let list = json_of(run(&["--json", "receipts", "list"]));
    let [first, second] = list.as_array().unwrap().as_slice() else {
        panic!("{list}");
    };
    for entry in [first, second] {
        let named = ["state", "symbol", "adapter", "server"].map(|name| entry[name].as_str());
        let expected = ["paid", "dUSD", "persona", &seller.url].map(Some);
        assert_eq!(named, expected, "{entry}");
    }
    let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
    let (one, two) = (id(first), id(second));
    let same = one.chars().zip(two.chars());
    let same = same.take_while(|(one, two)| one == two).count();
    let length = (same + 1).max(8);
    let line = |entry: &Value| {
        let time = moment(entry["time_ms"].as_u64().unwrap() / 1000);
        let paid = format!("{} dUSD", in_units(sum(&entry["paid"]), 6));
        let short = &id(entry)[..length];
        format!(
            "{time}  {short}  {:<12} {paid:>18}  persona at {}\n",
            "paid", seller.url
        )
    };
    let listed = run(&["-q", "receipts", "list"]).succeeds();
    assert_eq!(listed.stdout, line(first) + &line(second));
    let shown = run(&["-q", "receipts", "show", &one[..length]]).succeeds();
    assert_eq!(
        shown.stdout,
        run(&["-q", "receipts", "show", &one]).succeeds().stdout
    );
    let units = |name: &str| format!("{} dUSD", in_units(sum(&first[name]), 6));
    let time = moment(first["time_ms"].as_u64().unwrap() / 1000);
    let says = format!(
        "{one} from persona at {}, {time}\npaid {}, of at most {} signed for, to 0x",
        seller.url,
        units("paid"),
        units("quote")
    );
    assert!(shown.stdout.starts_with(&says), "{}", shown.stdout);
    // Of 17 ids two begin with the same hexadecimal digit.
    let shared = |ids: &[String]| {
        let digit = |id: &String| id[..1].to_owned();
        let others = |it: &str| ids.iter().filter(|id| id.starts_with(it)).count();
        ids.iter().map(digit).find(|it| others(it) == 2)
    };
    let mut ids = vec![one.clone(), two.clone()];
    while shared(&ids).is_none() {
        assert!(ids.len() < 17, "{ids:?}");
        market.call("buyer", &seller).succeeds();
        let list = json_of(run(&["--json", "receipts", "list"]));
        ids = list.as_array().unwrap().iter().map(id).collect();
    }
    let beginning = &shared(&ids).unwrap();
    run(&["receipts", "show", beginning]).fails(
        2,
        &format!(
            "error: 2 request ids begin with `{beginning}`\n\
             hint: give more of the id: openlora receipts list\n"
        ),
    );
    run(&["receipts", "show", "none"]).fails(
        2,
        "error: no call with the id none was paid from here\n\
         hint: list the paid calls: openlora receipts list; a free call's receipt is at its server: \
         name it with --url URL\n",
    );
}
