//! The table of settings: their types, defaults and meanings. Validation, help, `config show` and
//! the reference documentation use it.

use std::{path::PathBuf, time::Duration};

use super::{
    typed::{
        ContractPayerPolicy, EnginePreference, FacilitatorChoice, IndexMethodChoice,
        IsolationScope, StatedSetting, field,
    },
    value::{NetworkEntry, SettingKind, SourceEntry, Values},
};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct SettingKey {
    /// `section.name` as in the files.
    pub name: &'static str,
    pub kind: SettingKind,
    /// As it would stand in a TOML file; `None` means unset.
    pub default: Option<&'static str>,
    pub about: &'static str,
}

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: Option<&'static str>,
    about: &'static str,
) -> SettingKey {
    SettingKey {
        name,
        kind,
        default,
        about,
    }
}

const fn integer(min: i64, max: i64) -> SettingKind {
    SettingKind::Integer { min, max }
}

const fn number(min: f64, max: f64) -> SettingKind {
    SettingKind::Number { min, max }
}

const TASKS: SettingKind = SettingKind::Choice(&["classify", "chat", "text", "image"]);
const SCHEDULES: SettingKind = SettingKind::Choice(&["cosine", "linear", "constant"]);
const LOSSES: SettingKind = SettingKind::Choice(&["completion", "all"]);
const ON_LONG: SettingKind = SettingKind::Choice(&["error", "truncate", "drop", "split"]);
const PRECISIONS: SettingKind = SettingKind::Choice(&["f32", "bf16", "q8_0", "q4_0", "auto"]);
const QUANTS: SettingKind = SettingKind::Choice(&["auto", "f32", "q8_0", "q4_0", "q4k"]);
const THEMES: SettingKind = SettingKind::Choice(&["dark", "light", "high-contrast", "mono"]);
const LARGE: i64 = 1 << 40;

/// Declares every setting once: its key, type, accepted values, default (as in a TOML file; `None`
/// means unset) and meaning. Makes the table [`KEYS`], one struct for each section, and [`Settings`].
macro_rules! settings {
    ($(
        $(#[$meta:meta])*
        $section:ident: $Section:ident {
            $($name:ident: $type:ty = $kind:expr, $default:expr, $about:expr;)+
        }
    )+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Section {
                $(#[doc = $about] pub $name: $type,)+
            }
        )+

        /// Every setting outside `[[data]]`, in the order in which it is shown.
        pub const KEYS: &[SettingKey] = &[$($(
            key(concat!(stringify!($section), ".", stringify!($name)), $kind, $default, $about),
        )+)+];

        /// Validated settings, a field for each section.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[$meta])* pub $section: $Section,)+
            /// The value of each key that has one, and where it was set.
            pub(super) values: Values,
            /// As they would be without the project file.
            pub(super) own: Values,
            pub sources: Vec<SourceEntry>,
            /// The user's tables, then the project's: of two values the later counts.
            pub networks: Vec<NetworkEntry>,
            pub project_file: Option<PathBuf>,
            pub working_dir: PathBuf,
        }

        impl Settings {
            /// Converts the merged values to typed fields.
            ///
            /// # Errors
            ///
            /// A value that its kind accepts does not fit the field's type; the error is its key.
            pub(super) fn typed(
                values: Values,
                rest: Tables,
            ) -> Result<Self, &'static str> {
                Ok(Self {
                    $($section: $Section {
                        $($name: field(
                            concat!(stringify!($section), ".", stringify!($name)),
                            &values,
                            &rest.working_dir,
                        )?,)+
                    },)+
                    values,
                    own: rest.own,
                    sources: rest.sources,
                    networks: rest.networks,
                    project_file: rest.project_file,
                    working_dir: rest.working_dir,
                })
            }
        }
    };
}

settings! {
    /// What the project is, and the chain it is on.
    project: ProjectSettings {
        name: Option<String> = SettingKind::Text, None, "name of the adapter";
        version: String = SettingKind::Text, Some("\"0.1.0\""), "version of the release, such as 1.2.0";
        license: Option<String> = SettingKind::Text, None, "SPDX identifier of the adapter's licence";
        creator: Option<String> = SettingKind::Text, None, "name of whoever publishes the adapter";
        network: StatedSetting<String> = SettingKind::Text, Some("\"local\""),
            "chain to use: a preset, or the name of a `[network.NAME]` table";
        task: Option<String> = TASKS, None, "what a row teaches; found from the data when unset";
        labels: Vec<String> = SettingKind::List, None, "labels of a classifier, in order";
        instruction: Option<String> = SettingKind::Text, None, "system message put before every row";
    }

    /// Who shares the income of a release.
    split: SplitSettings {
        creator: Option<u64> = integer(0, 1_000_000), None,
            "the creator's share in parts per million (600000 is 60 %); what the others leave when unset";
        creator_address: Option<StatedSetting<String>> = SettingKind::Text, None,
            "account of the creator's share; the signing account when unset";
        contributors: Option<u64> = integer(0, 1_000_000), None,
            "the contributors' share in parts per million; 400000 (40 %) when unset and all have an address";
    }

    /// What a deployment may cost.
    deploy: DeploySettings {
        max_fee: Option<StatedSetting<String>> = SettingKind::Text, None,
            "most that a unit of gas may cost, in gwei; twice the going rate when unset";
        patience: Duration = integer(1, 86_400), Some("60"),
            "seconds until a transaction that is not mined offers more";
    }

    /// What `pull` may bring.
    pull: PullSettings {
        max_file: u64 = integer(1, LARGE), Some("8589934592"), "largest file of a package in bytes";
        max_package: u64 = integer(1, LARGE), Some("17179869184"), "largest package in bytes";
    }

    /// The packages that were pulled.
    store: StoreSettings {
        max_bytes: u64 = integer(1, LARGE), Some("68719476736"),
            "bytes that pulled packages may take; those that nothing uses or keeps go, least recently used first; only the user's own settings count";
    }

    /// Which account signs.
    wallet: WalletSettings {
        account: Option<String> = SettingKind::Text, None, "account that signs; the only one when unset";
    }

    /// The base model.
    base: BaseSettings {
        id: StatedSetting<String> = SettingKind::Text, Some("\"nano\""),
            "base model: nano for text, pico for pictures, a folder, a GGUF file, or a Hub id";
        revision: String = SettingKind::Text, Some("\"main\""), "Hub branch, tag or commit";
        endpoint: String = SettingKind::Text, Some("\"https://huggingface.co\""), "Hub address";
    }

    /// Hyperparameters of a training.
    train: TrainSettings {
        rank: usize = integer(1, 1024), Some("8"), "LoRA rank";
        alpha: f64 = number(1e-6, 1e6), Some("16.0"),
            "LoRA alpha; the update is scaled by alpha/rank";
        targets: Vec<String> = SettingKind::List, Some("[\"all-linear\"]"),
            "modules to adapt, or all-linear";
        dropout: f64 = number(0.0, 0.99), Some("0.0"), "dropout before the LoRA factors";
        rslora: bool = SettingKind::Boolean, Some("false"), "scale by alpha/sqrt(rank) instead";
        dora: bool = SettingKind::Boolean, Some("false"),
            "learn the norms of the weights' rows too (DoRA); only the native engine serves such an adapter";
        rank_pattern: Vec<String> = SettingKind::List, None,
            "modules with a rank of their own, such as `q_proj=16`; patterns as in PEFT";
        alpha_pattern: Vec<String> = SettingKind::List, None,
            "modules with an alpha of their own, such as `q_proj=32`; patterns as in PEFT";
        lr: f64 = number(0.0, 10.0), Some("2e-3"), "peak learning rate";
        loraplus_lr_ratio: Option<f64> = number(1.0, 1e4), None,
            "learning rate of the LoRA factors B over that of A (LoRA+); equal when unset";
        schedule: String = SCHEDULES, Some("\"cosine\""), "learning-rate schedule after warm-up";
        warmup: usize = integer(0, LARGE), Some("10"), "warm-up steps";
        epochs: usize = integer(1, 100_000), Some("2"), "passes over the data";
        max_steps: Option<usize> = integer(1, LARGE), None, "stop after this many steps";
        batch: usize = integer(1, 65_536), Some("16"), "rows per micro-batch";
        accumulate: usize = integer(1, 65_536), Some("1"), "micro-batches per step";
        columns: Vec<String> = SettingKind::List, None,
            "columns of the data files that have other names there, such as `text=review`";
        max_len: usize = integer(8, 1 << 20), Some("256"), "longest row in tokens";
        on_long: String = ON_LONG, Some("\"error\""),
            "what becomes of longer rows: an error, their text cut, left out, or (plain text only) split";
        loss: String = LOSSES, Some("\"completion\""), "tokens that are learned from";
        clip: f64 = number(0.0, 1e6), Some("1.0"), "gradient-norm limit";
        weight_decay: f64 = number(0.0, 1.0), Some("0.0"), "AdamW weight decay";
        val: Option<StatedSetting<String>> = SettingKind::Text, None,
            "validation: a file, or a fraction of the rows";
        eval_every: Option<usize> = integer(1, LARGE), None,
            "steps between validations; once an epoch when unset";
        patience: Option<usize> = integer(1, 1_000_000), None,
            "stop after this many validations without gain";
        checkpoint_every: Option<usize> = integer(1, LARGE), None,
            "steps between checkpoints; ten a run when unset";
        seed: u64 = integer(0, i64::MAX), Some("42"), "seed of initialisation, order and dropout";
        precision: String = PRECISIONS, Some("\"auto\""),
            "frozen base in memory: f32, bf16, or linear layers in 8 or 4 bits (QLoRA); auto is f32";
        checkpoint_activations: bool = SettingKind::Boolean, Some("false"),
            "compute activations again in the backward pass: less memory, more time";
    }

    /// What `eval` measures on.
    eval: EvalSettings {
        data: Vec<PathBuf> = SettingKind::List, None, "held-out files that `train` and `eval` report on";
        min_gain: Option<f64> = number(-1.0, 1.0), None,
            "accuracy gain over the base that `eval` demands";
    }

    /// The index that calls are attributed with.
    attribution: AttributionSettings {
        enabled: bool = SettingKind::Boolean, Some("true"),
            "whether `train` builds the index that calls are attributed with";
        method: IndexMethodChoice = IndexMethodChoice::KIND, Some("\"influence\""),
            "how examples are scored; the others are there to compare with";
        width: usize = integer(1, 65_536), Some("1024"), "values that a gradient is projected to";
        damping: f64 = number(1e-9, 1e9), Some("0.1"),
            "damping of the curvature, over the mean squared norm of the gradients";
    }

    /// The server: its address, its limits, its money.
    serve: ServeSettings {
        host: String = SettingKind::Text, Some("\"127.0.0.1\""), "address to listen on";
        port: u16 = integer(0, 65_535), Some("8080"), "port to listen on; 0 takes a free one";
        facilitator: FacilitatorChoice = FacilitatorChoice::KIND, Some("\"token\""),
            "whose payments the server clears for other sellers: nobody's, holders of the token's, everybody's";
        trusted_proxies: Vec<String> = SettingKind::List, None,
            "addresses and ranges whose word on where a call comes from counts, such as 10.0.0.0/8";
        origins: Vec<String> = SettingKind::List, None,
            "web pages that may call the server from a browser, as origins such as `https://app.example`, or `*` for all; never the operator's routes";
        engine: EnginePreference = EnginePreference::KIND, Some("\"auto\""),
            "what computes answers: mistralrs, native, or the one that fits";
        quant: String = QUANTS, Some("\"auto\""), "weights in memory";
        parallel: Option<usize> = integer(1, 256), None,
            "calls that the native engine answers at once for one adapter; 1 with --local and 8 otherwise when unset";
        adapter_memory: Option<u64> = integer(1, LARGE), None,
            "memory in bytes for adapters of the native engine; the least recently called ones leave it until they are called; no limit when unset";
        from_registry: Option<String> = SettingKind::Text, None,
            "fetch what the registry registers when it is first called: `network` for the network's registry, or its address; only the user's own settings and the flag count";
        registry_publishers: Vec<String> = SettingKind::List, None,
            "accounts whose adapters are fetched from the registry; all when unset";
        registry_adapters: usize = integer(1, 65_536), Some("64"),
            "adapters from the registry that stay loaded; the least recently called one gives way";
        registry_pulls: usize = integer(1, 64), Some("2"),
            "adapters that are fetched from the registry at the same time";
        registry_daily: u64 = integer(1, LARGE), Some("17179869184"),
            "bytes that calls may have fetched from the registry's publishers in a day (UTC)";
        prompt_filter: Option<String> = SettingKind::Text, None,
            "name of a served content filter that reads prompts for pictures before anything is charged; every prompt is answered when unset";
        prompt_filter_labels: Vec<String> = SettingKind::List, None,
            "labels of that filter whose prompts are refused; all but the one for harmless text when unset";
        isolate: IsolationScope = IsolationScope::KIND, Some("\"off\""),
            "which adapters run in jailed processes of their own: those of others (pulled packages, the registry's), all, or none";
        worker_memory: u64 = integer(16_777_216, LARGE), Some("4294967296"),
            "bytes of memory of such a process";
        worker_cpus: Option<f64> = number(0.01, 4096.0), None,
            "processors of such a process; all when unset";
        worker_pids: u32 = integer(16, 65_536), Some("512"),
            "processes and threads of such a process";
        worker_waive: Vec<String> = SettingKind::List, None,
            "limits of such a process that may be missing, by their names; without that a missing one is an error";
        max_concurrent: Option<usize> = integer(1, 4096), None,
            "calls generating at once; 4 with mistral.rs and 32 with the native engine when unset";
        attribution_queue: usize = integer(1, LARGE), Some("16384"),
            "answered calls that may wait for their attribution before new ones are refused";
        queue: usize = integer(0, 1 << 20), Some("64"), "calls waiting before 429";
        max_body: usize = integer(1024, 1 << 30), Some("1048576"), "largest request body in bytes";
        max_connections: usize = integer(16, 1 << 20), Some("2048"),
            "open connections; those that wait give way to new ones";
        max_connections_per_address: usize = integer(1, 1 << 20), Some("128"),
            "open connections of one IPv4 address or IPv6 /64 network; not on loopback";
        max_tokens: usize = integer(1, 1 << 20), Some("256"),
            "answer length when the caller sets none";
        temperature: Option<f64> = number(0.0, 2.0), None,
            "randomness of answers when the caller sets none; 0 for a classifier and 1 otherwise when unset";
        networks: Vec<String> = SettingKind::List, None,
            "chains on which calls are paid; `project.network` alone when unset";
        withdraw_delay: Duration = integer(900, 2_592_000), Some("3600"),
            "seconds that a payer waits for a withdrawal from a channel";
        min_deposit: StatedSetting<String> = SettingKind::Text, Some("\"0.0005\""),
            "least deposit into a channel, in token units";
        deposits_daily: u32 = integer(0, LARGE), Some("100"),
            "deposits that are put on the chain for one payer in a day (UTC)";
        min_exact: StatedSetting<String> = SettingKind::Text, Some("\"0.0005\""),
            "least price of a call that a transfer of its own (`exact`), or the claim of a contract's voucher, is worth, in token units";
        transfers_daily: u32 = integer(0, LARGE), Some("100"),
            "transfers (`exact`) that are put on the chain for one payer in a day (UTC)";
        refunds_daily: u32 = integer(0, LARGE), Some("4"),
            "refunds that are made for one payer in a day (UTC)";
        refund_fee: StatedSetting<String> = SettingKind::Text, Some("\"0.0001\""),
            "what a refund costs its payer, for its gas, in token units";
        refund_pause: Duration = integer(0, 3600), Some("3"),
            "seconds in which a paid call ends a refund that others than the payer may have asked for";
        contract_payers: ContractPayerPolicy = ContractPayerPolicy::KIND, Some("\"refuse\""),
            "payers that are contracts: refused, or their vouchers claimed before the call";
        min_gas: StatedSetting<String> = SettingKind::Text, Some("\"0.001\""),
            "what the account keeps for its own gas at least, in ETH, when it sends payers' transactions; more where the claims that are due cost more";
        gas_budget: Option<StatedSetting<String>> = SettingKind::Text, None,
            "most that payers' deposits, refunds and transfers may cost in a day (UTC) on each chain, in ETH; unset: ten times `serve.min_gas`, and no limit on a development chain";
        anchor_at: u64 = integer(1, LARGE), Some("1024"),
            "attributed calls that are worth a root on the chain";
        anchor_every: Duration = integer(1, LARGE), Some("3600"),
            "seconds between two roots, at most";
        public_url: Option<StatedSetting<String>> = SettingKind::Text, None,
            "address under which others reach the server: payment terms and links to its published log name it";
        min_claim: Option<StatedSetting<String>> = SettingKind::Text, None,
            "least amount that is claimed from a channel or settled, in token units; unset: nothing where `pricing.coin` tells what the gas costs and on a development chain, otherwise `serve.min_exact`";
        settle_at: StatedSetting<String> = SettingKind::Text, Some("\"1\""),
            "unclaimed income that is settled at once, in token units";
        settle_every: Option<Duration> = integer(1, LARGE), None,
            "seconds between settlements of unclaimed income; at most, and when unset, a quarter of `serve.withdraw_delay`";
    }

    /// The limits of a buyer.
    call: CallSettings {
        ask_above: StatedSetting<String> = SettingKind::Text, Some("\"0.01\""),
            "price or deposit of one call, in token units, above which `call` asks";
        budget: StatedSetting<String> = SettingKind::Text, Some("\"1\""),
            "most that calls and deposits may take in a day (UTC), in token units";
        max_locked: StatedSetting<String> = SettingKind::Text, Some("\"3\""),
            "most that may be in channels at the same time, over all sellers, in token units";
        max_deposit: Option<StatedSetting<String>> = SettingKind::Text, None,
            "deposit that one call may make without being asked for; `call.ask_above` when unset";
        max_delay: Duration = integer(900, 2_592_000), Some("86400"),
            "longest that a seller may have a deposit wait when it is taken back, in seconds";
        max_refund_fee: StatedSetting<String> = SettingKind::Text, Some("\"0.01\""),
            "most that a seller may take for the gas of a refund, in token units";
        timeout: Duration = integer(1, 86_400), Some("600"),
            "seconds that an answer may take until its last byte";
    }

    /// The proxy that pays for programs which cannot.
    proxy: ProxySettings {
        listen: String = SettingKind::Text, Some("\"127.0.0.1:8402\""),
            "address and port on which `proxy` listens; port 0 takes a free one";
        server: Option<String> = SettingKind::Text, None,
            "server whose adapters are called by their plain names; unset: they are looked up in the network's registry";
        keys: Vec<String> = SettingKind::List, None,
            "callers that `proxy` admits, each as `NAME=SHA256` of its key or `NAME=SHA256:AMOUNT` with a daily limit of its own; unset: every program on this machine";
        per_key: Option<StatedSetting<String>> = SettingKind::Text, None,
            "most that the calls of one caller's key may cost in a day (UTC), in token units; no limit besides `call.budget` when unset";
        max_price: Option<StatedSetting<String>> = SettingKind::Text, None,
            "most that one call of `proxy` may cost, in token units; `call.ask_above` when unset";
    }

    /// Where adapters are searched for.
    search: SearchSettings {
        discovery: Vec<String> = SettingKind::List, None,
            "servers and facilitators whose lists of paid resources (x402 bazaar) `search` reads besides the registry";
    }

    /// Prices of calls.
    pricing: PricingSettings {
        prompt: StatedSetting<String> = SettingKind::Text, Some("\"0.0002\""),
            "price of 1000 prompt tokens, in token units";
        completion: StatedSetting<String> = SettingKind::Text, Some("\"0.001\""),
            "price of 1000 generated tokens, in token units";
        classification: StatedSetting<String> = SettingKind::Text, Some("\"0.0001\""),
            "price of one classified text, in token units";
        image: StatedSetting<String> = SettingKind::Text, Some("\"0.01\""),
            "price of one picture, in token units";
        minimum: StatedSetting<String> = SettingKind::Text, Some("\"0.00001\""),
            "least price of a call, in token units";
        coin: Option<StatedSetting<String>> = SettingKind::Text, None,
            "value of one coin of the chain in token units: claims are made that are worth more than their gas, and earnings are shown net of gas";
    }

    /// The dashboard.
    dash: DashSettings {
        theme: String = THEMES, Some("\"dark\""), "colours of the dashboard";
        animation: bool = SettingKind::Boolean, Some("true"), "whether payments move on the dashboard";
        mouse: bool = SettingKind::Boolean, Some("true"),
            "whether the dashboard takes clicks; otherwise the terminal selects text";
    }

    /// The development chain.
    devnet: DevnetSettings {
        chain_id: u64 = integer(1, LARGE), Some("31337"), "chain id of the development chain";
        port: Option<u16> = integer(0, 65_535), None,
            "its port; 8545 for chain 31337, 8546 for 31338 and so on when unset";
    }
}

/// What settings hold besides keys and values.
pub(super) struct Tables {
    pub own: Values,
    pub sources: Vec<SourceEntry>,
    pub networks: Vec<NetworkEntry>,
    pub project_file: Option<PathBuf>,
    pub working_dir: PathBuf,
}

/// The fields of a `[[data]]` entry.
pub const DATA_FIELDS: &[(&str, &str)] = &[
    ("path", "data file, relative to the project file"),
    ("contributor", "who provided it"),
    ("address", "account that its rewards go to"),
    ("license", "SPDX identifier of its licence"),
    (
        "weight",
        "how often its rows are drawn, relative to the others",
    ),
];

/// The fields of a `[network.NAME]` table; what is left out comes from the preset of that name.
pub const NETWORK_FIELDS: &[SettingKey] = &[
    key("chain_id", integer(1, i64::MAX), None, "id of the chain"),
    key(
        "rpc",
        SettingKind::Text,
        None,
        "address of a JSON-RPC endpoint",
    ),
    key(
        "mainnet",
        SettingKind::Boolean,
        None,
        "whether it moves real money",
    ),
    key(
        "token",
        SettingKind::Text,
        None,
        "token that calls are paid in",
    ),
    key(
        "token_symbol",
        SettingKind::Text,
        None,
        "symbol of the token",
    ),
    key(
        "token_decimals",
        integer(0, 36),
        None,
        "decimals of the token",
    ),
    key(
        "registry",
        SettingKind::Text,
        None,
        "contract that keeps releases",
    ),
    key(
        "splitter_factory",
        SettingKind::Text,
        None,
        "contract that makes revenue splitters",
    ),
    key(
        "pool_factory",
        SettingKind::Text,
        None,
        "contract that makes contributor pools",
    ),
    key(
        "confirmations",
        integer(0, 10_000),
        None,
        "blocks on top of a payment before it counts; 0 on local chains, 2 on others when unset",
    ),
    key(
        "token_name",
        SettingKind::Text,
        None,
        "name in the token's signing domain (EIP-712)",
    ),
    key(
        "token_version",
        SettingKind::Text,
        None,
        "version in the token's signing domain",
    ),
    key(
        "anchor",
        SettingKind::Text,
        None,
        "contract that keeps the roots of calls",
    ),
    key(
        "identity_registry",
        SettingKind::Text,
        None,
        "registry of agents (ERC-8004) that `deploy --agent` uses",
    ),
    key(
        "directory",
        SettingKind::Text,
        None,
        "contract in which servers state their addresses",
    ),
];

/// Looks a key up by its full name.
pub fn find(name: &str) -> Option<&'static SettingKey> {
    KEYS.iter().find(|key| key.name == name)
}

impl BaseSettings {
    /// The base to open: a relative path is resolved against the file that names it.
    pub fn located(&self) -> String {
        let (id, path) = (&self.id.value, self.id.path());
        let is_path = id != "nano" && (id.starts_with('.') || path.exists());
        if is_path {
            path.display().to_string()
        } else {
            id.clone()
        }
    }
}

/// The variable that sets a key.
pub fn variable_of(key: &SettingKey) -> String {
    format!("OPENLORA_{}", key.name.replace('.', "_").to_uppercase())
}
