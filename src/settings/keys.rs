//! The table of settings: help, `config show`, validation and the README read it.

/// The type of a setting and the values it accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Boolean,
    Text,
    /// Text restricted to these words.
    Choice(&'static [&'static str]),
    /// A list of texts; a single text or a comma-separated one is accepted too.
    List,
    /// A path, relative to the file that sets it.
    Path,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name` as in the files.
    pub name: &'static str,
    pub kind: Kind,
    /// As it would stand in a TOML file; `None` means unset.
    pub default: Option<&'static str>,
    pub about: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        about,
    }
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn number(min: f64, max: f64) -> Kind {
    Kind::Number { min, max }
}

const TASKS: Kind = Kind::Choice(&["classify", "chat", "text"]);
const SCHEDULES: Kind = Kind::Choice(&["cosine", "linear", "constant"]);
const PRECISIONS: Kind = Kind::Choice(&["f32", "bf16", "auto"]);
const QUANTS: Kind = Kind::Choice(&["auto", "f32", "q8_0", "q4k"]);
const THEMES: Kind = Kind::Choice(&["dark", "light", "high-contrast", "mono"]);
const LOSSES: Kind = Kind::Choice(&["completion", "all"]);
const METHODS: Kind = Kind::Choice(&["influence", "datainf", "gradient"]);
const CONTRACT_PAYERS: Kind = Kind::Choice(&["refuse", "settle"]);
const LARGE: i64 = 1 << 40;

/// Every setting outside `[[data]]`, in the order in which it is shown.
pub const KEYS: &[Key] = &[
    key("project.name", Kind::Text, None, "name of the adapter"),
    key(
        "project.version",
        Kind::Text,
        Some("\"0.1.0\""),
        "version of the release, such as 1.2.0",
    ),
    key(
        "project.license",
        Kind::Text,
        None,
        "SPDX identifier of the adapter's licence",
    ),
    key(
        "project.creator",
        Kind::Text,
        None,
        "name of whoever publishes the adapter",
    ),
    key(
        "project.network",
        Kind::Text,
        Some("\"local\""),
        "chain to use: a preset, or the name of a `[network.NAME]` table",
    ),
    key(
        "split.creator",
        integer(0, 1_000_000),
        None,
        "the creator's share in ppm; what the others leave when unset",
    ),
    key(
        "split.creator_address",
        Kind::Text,
        None,
        "account of the creator's share; the signing account when unset",
    ),
    key(
        "split.contributors",
        integer(0, 1_000_000),
        None,
        "the contributors' share in ppm; 400000 when unset and all have an address",
    ),
    key(
        "deploy.max_fee",
        Kind::Text,
        None,
        "most that a unit of gas may cost, in gwei; twice the going rate when unset",
    ),
    key(
        "deploy.patience",
        integer(1, 86_400),
        Some("60"),
        "seconds until a transaction that is not mined offers more",
    ),
    key(
        "wallet.account",
        Kind::Text,
        None,
        "account that signs; the only one when unset",
    ),
    key(
        "project.task",
        TASKS,
        None,
        "what a row teaches; found from the data when unset",
    ),
    key(
        "project.labels",
        Kind::List,
        None,
        "labels of a classifier, in order",
    ),
    key(
        "project.instruction",
        Kind::Text,
        None,
        "system message put before every row",
    ),
    key(
        "base.id",
        Kind::Text,
        Some("\"nano\""),
        "base model: nano, a folder, or a Hub id",
    ),
    key(
        "base.revision",
        Kind::Text,
        Some("\"main\""),
        "Hub branch, tag or commit",
    ),
    key(
        "base.endpoint",
        Kind::Text,
        Some("\"https://huggingface.co\""),
        "Hub address",
    ),
    key("train.rank", integer(1, 1024), Some("8"), "LoRA rank"),
    key(
        "train.alpha",
        number(1e-6, 1e6),
        Some("16.0"),
        "LoRA alpha; the update is scaled by alpha/rank",
    ),
    key(
        "train.targets",
        Kind::List,
        Some("[\"all-linear\"]"),
        "modules to adapt, or all-linear",
    ),
    key(
        "train.dropout",
        number(0.0, 0.99),
        Some("0.0"),
        "dropout before the LoRA factors",
    ),
    key(
        "train.rslora",
        Kind::Boolean,
        Some("false"),
        "scale by alpha/sqrt(rank) instead",
    ),
    key(
        "train.lr",
        number(0.0, 10.0),
        Some("2e-3"),
        "peak learning rate",
    ),
    key(
        "train.schedule",
        SCHEDULES,
        Some("\"cosine\""),
        "learning-rate schedule after warm-up",
    ),
    key(
        "train.warmup",
        integer(0, LARGE),
        Some("10"),
        "warm-up steps",
    ),
    key(
        "train.epochs",
        integer(1, 100_000),
        Some("2"),
        "passes over the data",
    ),
    key(
        "train.max_steps",
        integer(1, LARGE),
        None,
        "stop after this many steps",
    ),
    key(
        "train.batch",
        integer(1, 65_536),
        Some("16"),
        "rows per micro-batch",
    ),
    key(
        "train.accumulate",
        integer(1, 65_536),
        Some("1"),
        "micro-batches per step",
    ),
    key(
        "train.max_len",
        integer(8, 1 << 20),
        Some("256"),
        "longest row in tokens",
    ),
    key(
        "train.loss",
        LOSSES,
        Some("\"completion\""),
        "tokens that are learned from",
    ),
    key(
        "train.clip",
        number(0.0, 1e6),
        Some("1.0"),
        "gradient-norm limit",
    ),
    key(
        "train.weight_decay",
        number(0.0, 1.0),
        Some("0.0"),
        "AdamW weight decay",
    ),
    key(
        "train.val",
        Kind::Text,
        None,
        "validation: a file, or a fraction of the rows",
    ),
    key(
        "train.eval_every",
        integer(1, LARGE),
        None,
        "steps between validations; once an epoch when unset",
    ),
    key(
        "train.patience",
        integer(1, 1_000_000),
        None,
        "stop after this many validations without gain",
    ),
    key(
        "train.checkpoint_every",
        integer(1, LARGE),
        None,
        "steps between checkpoints; ten a run when unset",
    ),
    key(
        "train.seed",
        integer(0, i64::MAX),
        Some("42"),
        "seed of initialisation, order and dropout",
    ),
    key(
        "train.precision",
        PRECISIONS,
        Some("\"auto\""),
        "arithmetic of the frozen base",
    ),
    key(
        "eval.data",
        Kind::List,
        None,
        "held-out files that `train` and `eval` report on",
    ),
    key(
        "eval.min_gain",
        number(-1.0, 1.0),
        None,
        "accuracy gain over the base that `eval` demands",
    ),
    key(
        "attribution.enabled",
        Kind::Boolean,
        Some("true"),
        "whether `train` builds the index that calls are attributed with",
    ),
    key(
        "attribution.method",
        METHODS,
        Some("\"influence\""),
        "how examples are scored; the others are there to compare with",
    ),
    key(
        "attribution.width",
        integer(1, 65_536),
        Some("1024"),
        "values that a gradient is projected to",
    ),
    key(
        "attribution.damping",
        number(1e-9, 1e9),
        Some("0.1"),
        "damping of the curvature, over the mean squared norm of the gradients",
    ),
    key(
        "serve.host",
        Kind::Text,
        Some("\"127.0.0.1\""),
        "address to listen on",
    ),
    key(
        "serve.port",
        integer(0, 65_535),
        Some("8080"),
        "port to listen on; 0 takes a free one",
    ),
    key(
        "serve.facilitator",
        Kind::Choice(&["off", "token", "public"]),
        Some("\"token\""),
        "whose payments the server clears for other sellers: nobody's, holders of the token's, everybody's",
    ),
    key(
        "serve.trusted_proxies",
        Kind::List,
        None,
        "addresses and ranges whose word on where a call comes from counts, such as 10.0.0.0/8",
    ),
    key("serve.quant", QUANTS, Some("\"auto\""), "weights in memory"),
    key(
        "serve.max_concurrent",
        integer(1, 4096),
        Some("4"),
        "calls generating at once",
    ),
    key(
        "serve.attribution_queue",
        integer(1, LARGE),
        Some("1024"),
        "answered calls that may wait for their attribution before new ones are refused",
    ),
    key(
        "serve.queue",
        integer(0, 1 << 20),
        Some("64"),
        "calls waiting before 429",
    ),
    key(
        "serve.max_body",
        integer(1024, 1 << 30),
        Some("1048576"),
        "largest request body in bytes",
    ),
    key(
        "serve.max_connections",
        integer(16, 1 << 20),
        Some("2048"),
        "open connections; those that wait give way to new ones",
    ),
    key(
        "serve.max_connections_per_address",
        integer(1, 1 << 20),
        Some("128"),
        "open connections of one IPv4 address or IPv6 /64 network; not on loopback",
    ),
    key(
        "serve.max_tokens",
        integer(1, 1 << 20),
        Some("256"),
        "answer length when the caller sets none",
    ),
    key(
        "call.ask_above",
        Kind::Text,
        Some("\"0.01\""),
        "price or deposit of one call, in token units, above which `call` asks",
    ),
    key(
        "call.budget",
        Kind::Text,
        Some("\"1\""),
        "most that calls and deposits may take in a day (UTC), in token units",
    ),
    key(
        "call.max_locked",
        Kind::Text,
        Some("\"3\""),
        "most that may be in channels at the same time, over all sellers, in token units",
    ),
    key(
        "call.max_deposit",
        Kind::Text,
        None,
        "deposit that one call may make without being asked for; `call.ask_above` when unset",
    ),
    key(
        "call.max_refund_fee",
        Kind::Text,
        Some("\"0.01\""),
        "most that a seller may take for the gas of a refund, in token units",
    ),
    key(
        "call.max_delay",
        integer(900, 2_592_000),
        Some("86400"),
        "longest that a seller may have a deposit wait when it is taken back, in seconds",
    ),
    key(
        "call.timeout",
        integer(1, 86_400),
        Some("600"),
        "seconds that an answer may take until its last byte",
    ),
    key(
        "serve.networks",
        Kind::List,
        None,
        "chains on which calls are paid; `project.network` alone when unset",
    ),
    key(
        "serve.withdraw_delay",
        integer(900, 2_592_000),
        Some("3600"),
        "seconds that a payer waits for a withdrawal from a channel",
    ),
    key(
        "serve.min_deposit",
        Kind::Text,
        Some("\"0.0005\""),
        "least deposit into a channel, in token units",
    ),
    key(
        "serve.deposits_daily",
        integer(0, LARGE),
        Some("100"),
        "deposits that are put on the chain for one payer in a day (UTC)",
    ),
    key(
        "serve.refunds_daily",
        integer(0, LARGE),
        Some("4"),
        "refunds that are made for one payer in a day (UTC)",
    ),
    key(
        "serve.refund_fee",
        Kind::Text,
        Some("\"0.0001\""),
        "what a refund costs its payer, for its gas, in token units",
    ),
    key(
        "serve.refund_pause",
        integer(0, 3600),
        Some("3"),
        "seconds in which a paid call ends a refund that others than the payer may have asked for",
    ),
    key(
        "serve.contract_payers",
        CONTRACT_PAYERS,
        Some("\"refuse\""),
        "vouchers that the payer's contract decides about: refused, or claimed before the call",
    ),
    key(
        "serve.min_gas",
        Kind::Text,
        Some("\"0.001\""),
        "what the account keeps for its own gas, in ETH, before it sends payers' transactions",
    ),
    key(
        "serve.gas_budget",
        Kind::Text,
        None,
        "most that payers' deposits and refunds may cost in a day (UTC) on each chain, in ETH; unset: \
         ten times `serve.min_gas`, and no limit on a development chain",
    ),
    key(
        "serve.anchor_at",
        integer(1, LARGE),
        Some("1024"),
        "attributed calls that are worth a root on the chain",
    ),
    key(
        "serve.anchor_every",
        integer(1, LARGE),
        Some("3600"),
        "seconds between two roots, at most",
    ),
    key(
        "serve.public_url",
        Kind::Text,
        None,
        "address under which others reach the server, for links to its published log",
    ),
    key(
        "serve.settle_at",
        Kind::Text,
        Some("\"1\""),
        "unclaimed income that is settled at once, in token units",
    ),
    key(
        "serve.settle_every",
        integer(1, LARGE),
        None,
        "seconds between settlements of unclaimed income; at most, and when unset, a quarter of \
         `serve.withdraw_delay`",
    ),
    key(
        "pricing.prompt",
        Kind::Text,
        Some("\"0.0002\""),
        "price of 1000 prompt tokens, in token units",
    ),
    key(
        "pricing.completion",
        Kind::Text,
        Some("\"0.001\""),
        "price of 1000 generated tokens, in token units",
    ),
    key(
        "pricing.classification",
        Kind::Text,
        Some("\"0.0001\""),
        "price of one classified text, in token units",
    ),
    key(
        "pricing.image",
        Kind::Text,
        Some("\"0.01\""),
        "price of one picture, in token units",
    ),
    key(
        "pricing.minimum",
        Kind::Text,
        Some("\"0.00001\""),
        "least price of a call, in token units",
    ),
    key(
        "pricing.coin",
        Kind::Text,
        None,
        "value of one coin of the chain in token units, for earnings net of gas",
    ),
    key(
        "dash.theme",
        THEMES,
        Some("\"dark\""),
        "colours of the dashboard",
    ),
    key(
        "dash.animation",
        Kind::Boolean,
        Some("true"),
        "whether payments move on the dashboard",
    ),
    key(
        "dash.mouse",
        Kind::Boolean,
        Some("true"),
        "whether the dashboard takes clicks; otherwise the terminal selects text",
    ),
    key(
        "devnet.chain_id",
        integer(1, LARGE),
        Some("31337"),
        "chain id of the development chain",
    ),
    key(
        "devnet.port",
        integer(0, 65_535),
        None,
        "its port; 8545 for chain 31337, 8546 for 31338 and so on when unset",
    ),
];

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
pub const NETWORK_FIELDS: &[Key] = &[
    key("chain_id", integer(1, i64::MAX), None, "id of the chain"),
    key("rpc", Kind::Text, None, "address of a JSON-RPC endpoint"),
    key(
        "mainnet",
        Kind::Boolean,
        None,
        "whether it moves real money",
    ),
    key("token", Kind::Text, None, "token that calls are paid in"),
    key("token_symbol", Kind::Text, None, "symbol of the token"),
    key(
        "token_decimals",
        integer(0, 36),
        None,
        "decimals of the token",
    ),
    key("registry", Kind::Text, None, "contract that keeps releases"),
    key(
        "splitter_factory",
        Kind::Text,
        None,
        "contract that makes revenue splitters",
    ),
    key(
        "pool_factory",
        Kind::Text,
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
        Kind::Text,
        None,
        "name in the token's signing domain (EIP-712)",
    ),
    key(
        "token_version",
        Kind::Text,
        None,
        "version in the token's signing domain",
    ),
    key(
        "anchor",
        Kind::Text,
        None,
        "contract that keeps the roots of calls",
    ),
];

/// Looks a key up by its full name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
