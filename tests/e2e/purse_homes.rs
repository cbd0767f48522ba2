//! Purses and the chains and homes around them: a chain that begins anew, a home that was copied,
//! a limit on all that is in channels, and commands beside a server.

use std::{fs, path::Path, process::Child};

use openlora_core::Amount;
use openlora_payments::payer::{PayerChannelState, PayerStore};
use serde_json::{Value, json};

use crate::{
    deploy_support::contract,
    devnet_support::signal,
    live::write_adapters,
    support::{Invocation, Run, openlora},
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
