//! The command line as clap types, and nothing else: parsing validates the form of arguments;
//! what they mean together with files and environment is settled in `settings`.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::{
    ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{FalseyValueParser, NonEmptyStringValueParser},
};

use crate::commands::{
    printer::{ColorChoice, Verbosity},
    settings::SettingOverride,
};
use openlora_container::{
    limits::{CpuShare, LimitName, MemorySize},
    runtime_choice::ContainerRuntime,
};

/// Train a LoRA adapter, register it on a chain, serve it, count every call.
#[derive(Debug, Parser)]
#[command(
    name = "openlora",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(arg_required_else_help = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: CliCommand,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Project file to use instead of the nearest openlora.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Lay the keys of `[profile.NAME]` over the project file
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Chain to use: a preset such as base-sepolia, or one of the settings
    #[arg(long, global = true, value_name = "NAME")]
    pub network: Option<String>,
    /// Print the result as JSON; implies --no-input
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr; twice for debugging logs
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to colour output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
    /// Never ask; a question becomes an error
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// No network access besides this machine
    #[arg(long, global = true, env = "OPENLORA_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
    /// Plain lines instead of animated output
    #[arg(long, global = true, env = "ACCESSIBLE", value_parser = FalseyValueParser::new())]
    pub accessible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

impl From<ColorWhen> for ColorChoice {
    fn from(when: ColorWhen) -> Self {
        match when {
            ColorWhen::Auto => Self::Auto,
            ColorWhen::Always => Self::Always,
            ColorWhen::Never => Self::Never,
        }
    }
}

impl GlobalArgs {
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the whole story on the embedded base model, really executed
    Demo(DemoArgs),
    /// Write a new project from a template
    Init(InitArgs),
    /// Check the machine: processor, memory, disk, folders, models
    Doctor {
        /// Measure it too: matrix products, memory, training of the embedded base
        #[arg(long)]
        bench: bool,
    },
    /// Look at training data before using it
    #[command(subcommand)]
    Data(DataCommand),
    /// Train a LoRA adapter
    Train(Box<TrainArgs>),
    /// Measure an adapter against its base on labelled data
    Eval(EvalArgs),
    /// Build and check the index that calls are attributed with
    #[command(subcommand)]
    Attribution(AttributionCommand),
    /// Write a signed package from a finished run
    Package(PackageArgs),
    /// Check a package: structure, digests, signature, base, data
    Verify(VerifyArgs),
    /// Write an adapter for other programs: PEFT, a merged model, llama.cpp
    Export(ExportArgs),
    /// Put a package where others can pull it
    Push(PushArgs),
    /// Bring a package here from a registry, the Hub, a web folder, or where a chain says that it is
    Pull(PullArgs),
    /// List and remove the packages that were pulled
    #[command(subcommand)]
    Store(StoreCommand),
    /// Register a package in the chain's registry, or publish its next version there
    Deploy(DeployArgs),
    /// Show what the registry knows: releases, split, servers, calls, revenue
    Explore(ExploreArgs),
    /// Show what calls earned: today, 7 days, 30 days, all; pending, settled, withdrawable
    Earnings(EarningsArgs),
    /// Show calls, attribution and money live on the terminal
    Dash(DashArgs),
    /// Keep accounts in encrypted files
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Answer calls over HTTP
    Serve(ServeArgs),
    /// Run an adapter in a container that reads nothing else and reaches no network
    Run(ContainerArgs),
    /// Talk to an adapter in this terminal, without a server
    Chat(ChatArgs),
    /// Measure how fast this machine answers
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Claim what calls have cost, and have it sent to the splitters
    Settle(TreasuryArgs),
    /// Pay out your share of the splitters, and the contributor pools'
    Withdraw(WithdrawArgs),
    /// Fetch what contributor pools owe you, with only an address, a published log and a chain
    Claim(ClaimArgs),
    /// Compute again what a server published of an adapter's calls, and hold it against the chain
    Audit(AuditArgs),
    /// Send one call to a server, pay for it, and print the answer
    Call(Box<CallArgs>),
    /// Find adapters: price, servers, latency, calls, returning payers, evaluation
    Search(SearchArgs),
    /// Answer in OpenAI's form on this machine, and pay for the calls within a budget
    Proxy(ProxyArgs),
    /// Offer adapters to an agent as tools that pay for their calls (MCP on standard input and output)
    Mcp(McpArgs),
    /// Open, list, fill and empty the channels that calls are paid from
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Show what calls have cost, and check servers' receipts
    #[command(subcommand)]
    Receipts(ReceiptsCommand),
    /// Prove that calls are in a server's transparency log, and that nothing in it was changed
    #[command(subcommand)]
    Log(LogCommand),
    /// Run a development chain on this machine
    #[command(subcommand)]
    Devnet(DevnetCommand),
    /// Show and change settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Shell to complete in
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep everything the demo makes in this folder instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Run it with the dashboard open
    #[arg(long)]
    pub dash: bool,
}

#[derive(Debug, Args)]
pub struct DashArgs {
    /// Follow a running server instead of this home's journal
    #[arg(long, value_name = "URL", conflicts_with_all = ["replay", "demo"])]
    pub attach: Option<String>,
    /// File with the operator token of that server; this home's own when left out
    #[arg(long, value_name = "FILE", env = "OPENLORA_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Play a recording
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    pub replay: Option<PathBuf>,
    /// How many times as fast a recording is played; 0 shows its end at once
    #[arg(long, value_name = "N", value_parser = whole::<u32>, default_value_t = 1, requires = "replay")]
    pub speed: u32,
    /// Write every record to a new file, for --replay
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "demo"])]
    pub record: Option<PathBuf>,
    /// Play the recording that is compiled in
    #[arg(long)]
    pub demo: bool,
    /// dark, light, high-contrast or mono
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Let payments stand still
    #[arg(long)]
    pub no_animation: bool,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder to write; named after the template when left out
    pub dir: Option<PathBuf>,
    /// Template to start from; asked for when left out
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Base model with settings for its size: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// List the templates
    #[arg(long, conflicts_with_all = ["dir", "template", "base"])]
    pub list: bool,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Report on formats, duplicates, label balance and lengths
    Check(DataFiles),
    /// Show rows as the model sees them, learned tokens coloured
    Preview {
        #[command(flatten)]
        files: DataFiles,
        /// Show this row only (from 1)
        #[arg(long, value_name = "N", value_parser = whole::<usize>)]
        row: Option<usize>,
        /// Number of rows to show
        #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 3)]
        rows: usize,
    },
    /// Divide rows into train, valid and test files, the same way every time
    Split {
        #[command(flatten)]
        files: DataFiles,
        /// Folder for valid.jsonl, test.jsonl and train.jsonl, or with several files a train-NAME.jsonl for each
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Share of the rows for validation
        #[arg(long, value_name = "F", value_parser = number, default_value_t = 0.1)]
        valid: f64,
        /// Share of the rows for the test
        #[arg(long, value_name = "F", value_parser = number, default_value_t = 0.1)]
        test: f64,
        /// Overwrite files that exist
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub struct DataFiles {
    /// Data files; those of the project when left out
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub columns: ColumnArgs,
}

#[derive(Debug, Args)]
pub struct ColumnArgs {
    /// Columns that have other names in the files, such as text=review,label=sentiment
    #[arg(long, value_name = "LIST")]
    pub columns: Option<String>,
}

impl ColumnArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        let columns = self.columns.as_deref();
        overrides([SettingFlag("train.columns", "--columns", columns)])
    }
}

#[derive(Debug, Args)]
pub struct LengthArgs {
    /// Longest row in tokens
    #[arg(long, value_name = "N")]
    pub max_len: Option<String>,
    /// What becomes of longer rows: error, truncate, drop or split
    #[arg(long, value_name = "WHAT")]
    pub on_long: Option<String>,
}

impl LengthArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        overrides([
            SettingFlag("train.max_len", "--max-len", self.max_len.as_deref()),
            SettingFlag("train.on_long", "--on-long", self.on_long.as_deref()),
        ])
    }
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Base model: nano, pico, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// Data files instead of the project's
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Folder for the finished adapter; inside the run when left out
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// LoRA rank
    #[arg(long, value_name = "N")]
    pub rank: Option<String>,
    /// LoRA alpha; the update is scaled by alpha/rank
    #[arg(long, value_name = "N")]
    pub alpha: Option<String>,
    /// Modules to adapt: names separated by commas, or all-linear
    #[arg(long, value_name = "LIST")]
    pub targets: Option<String>,
    /// Dropout before the LoRA factors
    #[arg(long, value_name = "F")]
    pub dropout: Option<String>,
    /// Scale by alpha/sqrt(rank)
    #[arg(long)]
    pub rslora: bool,
    /// Learn the norms of the weights' rows too (DoRA); only the native engine serves such an
    /// adapter
    #[arg(long)]
    pub dora: bool,
    /// Modules with a rank of their own, such as q_proj=16,layers.0.mlp.down_proj=4
    #[arg(long, value_name = "LIST")]
    pub rank_pattern: Option<String>,
    /// Modules with an alpha of their own, such as q_proj=32
    #[arg(long, value_name = "LIST")]
    pub alpha_pattern: Option<String>,
    /// Peak learning rate
    #[arg(long, value_name = "F")]
    pub lr: Option<String>,
    /// Learning rate of the LoRA factors B over that of A (LoRA+)
    #[arg(long, value_name = "F")]
    pub loraplus_lr_ratio: Option<String>,
    /// cosine, linear or constant
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// Warm-up steps
    #[arg(long, value_name = "N")]
    pub warmup: Option<String>,
    /// Passes over the data
    #[arg(long, value_name = "N")]
    pub epochs: Option<String>,
    /// Stop after this many steps
    #[arg(long, value_name = "N")]
    pub max_steps: Option<String>,
    /// Rows per micro-batch
    #[arg(long, value_name = "N")]
    pub batch: Option<String>,
    /// Micro-batches per step
    #[arg(long, value_name = "N")]
    pub accumulate: Option<String>,
    #[command(flatten)]
    pub lengths: LengthArgs,
    /// Validation: a share of the rows, or a file
    #[arg(long, value_name = "F")]
    pub val: Option<String>,
    /// Stop after this many validations without gain
    #[arg(long, value_name = "N")]
    pub patience: Option<String>,
    /// Seed of initialisation, order and dropout
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    /// Frozen base in memory: f32, bf16, q8_0, q4_0 (QLoRA) or auto
    #[arg(long, value_name = "NAME")]
    pub precision: Option<String>,
    /// Compute activations again in the backward pass: less memory, more time
    #[arg(long)]
    pub checkpoint_activations: bool,
    /// Go on with an interrupted run: the latest one, or RUN
    #[arg(
        long,
        value_name = "RUN",
        value_parser = NonEmptyStringValueParser::new(),
        num_args = 0..=1,
        default_missing_value = "latest"
    )]
    pub resume: Option<String>,
    /// Show rows, steps, memory and time from a few steps on the rows, and train nothing
    #[arg(long, visible_alias = "dry-run")]
    pub plan: bool,
    /// Leave out the index that calls are attributed with
    #[arg(long)]
    pub no_attribution: bool,
}

#[derive(Debug, Subcommand)]
pub enum AttributionCommand {
    /// Build the index of a finished run
    Build(AttributionBuildArgs),
    /// Show what an index was built from and what it holds
    Inspect {
        /// Run, or the file of an index; the latest run when left out
        run: Option<PathBuf>,
    },
    /// Hold an index against its run: hashes, base, adapter, data; exit 9 when they disagree
    Verify {
        /// Run to check; the latest run when left out
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        run: Option<String>,
        /// Build the index once more and compare every byte
        #[arg(long)]
        rebuild: bool,
    },
    /// Train without a contributor and compare with what the index says
    Audit {
        /// Run to audit; the latest run when left out
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        run: Option<String>,
        /// Contributor to leave out; each in turn when left out
        #[arg(long, value_name = "NAME")]
        contributor: Vec<String>,
        /// Held-out answers to compare
        #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 24)]
        answers: usize,
    },
}

#[derive(Debug, Args)]
pub struct AttributionBuildArgs {
    /// Run to index; the latest run when left out
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub run: Option<String>,
    /// influence, datainf or gradient
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Adapter folder or run; the latest run when left out
    pub adapter: Option<PathBuf>,
    /// Compare with `base`
    #[arg(long, value_name = "WHAT", value_parser = ["base"])]
    pub vs: Option<String>,
    /// Fail with exit code 10 when accuracy gains less than this over the base; of pictures, when less
    /// than this part of the base's loss goes away
    #[arg(long, value_name = "X")]
    pub min_gain: Option<String>,
    /// Held-out files instead of the project's
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Base model: nano, pico, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    #[command(flatten)]
    pub lengths: LengthArgs,
}

#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Run to package, or the folder of an adapter made elsewhere; the latest run when left out
    pub run: Option<PathBuf>,
    /// Folder of an adapter made elsewhere, in PEFT's format
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub adapter: Option<PathBuf>,
    /// Folder for the package; `package` inside the run when left out
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Account that signs; wallet.account when left out
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Leave the signature out
    #[arg(long, conflicts_with = "account")]
    pub unsigned: bool,
    /// Private key in PEM for model.sig, on P-256, P-384 or P-521; the account's own when left out
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    pub signing_key: Option<PathBuf>,
    /// Certificate of that key in PEM, and after it those of its authorities
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    pub certificates: Option<PathBuf>,
    /// Write a container image too, an OCI layout; beside the package when no folder is given
    #[arg(long, value_name = "DIR")]
    pub image: Option<Option<PathBuf>>,
    /// Program for the image; this one when left out
    #[arg(long, value_name = "FILE", requires = "image")]
    pub binary: Option<PathBuf>,
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of the package
    #[arg(value_name = "PKG")]
    pub package: PathBuf,
    /// Base model to compare with; what the package names when it is on this machine
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// Public key in PEM that must have made model.sig; repeat it for several
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub key: Vec<PathBuf>,
    /// Certificates in PEM of authorities, one of which must have certified the key; repeat it for several
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub root: Vec<PathBuf>,
    /// File with the checks that must pass and the signers that are allowed
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Transparency log with the release: a server, a folder, or the proof in a .tlog-proof file
    #[arg(long, value_name = "URL|DIR|FILE")]
    pub log: Option<String>,
    /// Compare the package with its registration on the network
    #[arg(long)]
    pub chain: bool,
}

/// Who may have signed a package.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// Public key in PEM that must have made model.sig; repeat it for several
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub key: Vec<PathBuf>,
    /// Certificates in PEM of authorities, one of which must have certified the key; repeat it for several
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub root: Vec<PathBuf>,
    /// File with the checks that must pass and the signers that are allowed
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    /// Folder of the package
    #[arg(value_name = "PKG")]
    pub package: PathBuf,
    /// oci://HOST/REPOSITORY:TAG, oci-layout:DIR:TAG, or dir:PATH; the tag is latest when left out
    #[arg(value_name = "LOCATION")]
    pub location: String,
    #[command(flatten)]
    pub signers: SignerArgs,
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List the packages with their sizes, the one that was used last first
    List,
    /// Remove packages that no running process uses
    Remove {
        /// Packages: their names, or digests of their manifests or the beginning of them
        #[arg(value_name = "PACKAGE", required = true)]
        packages: Vec<String>,
    },
    /// Have packages stay when room is needed for others
    Keep {
        /// Packages: their names, or digests of their manifests or the beginning of them
        #[arg(value_name = "PACKAGE", required = true)]
        packages: Vec<String>,
        /// Let them go again
        #[arg(long)]
        no_longer: bool,
    },
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// oci://…, hf://OWNER/NAME, https://…, oci-layout:DIR, dir:PATH; or NAME@0xREGISTRY, 0xPUBLISHER/NAME@0xREGISTRY, or an adapter's id
    #[arg(value_name = "LOCATION|NAME@REGISTRY")]
    pub what: String,
    /// Copy it to this folder, too
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Accept that the place holds another package than when it was first pulled
    #[arg(long)]
    pub update: bool,
    #[command(flatten)]
    pub signers: SignerArgs,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Package, run, or folder of an adapter; the latest run when left out
    #[arg(value_name = "PKG|RUN")]
    pub adapter: Option<PathBuf>,
    /// peft: the adapter's folder; merged: the base with the adapter added; gguf: an adapter file of llama.cpp; diffusers: the adapter file of diffusers, for pictures
    #[arg(long, value_name = "FORMAT")]
    pub format: AdapterFormatArg,
    /// New folder, or new file for gguf
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Base model: nano, a folder, a GGUF file, or a Hub id; the adapter's own when left out
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AdapterFormatArg {
    Peft,
    Merged,
    Gguf,
    Diffusers,
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Folder of the package; that of the latest run when left out
    #[arg(value_name = "PKG", conflicts_with = "contracts")]
    pub package: Option<PathBuf>,
    /// Show what would be sent and what it costs, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Most that a unit of gas may cost, in gwei
    #[arg(long, value_name = "GWEI")]
    pub max_fee: Option<String>,
    /// Address that may serve the adapter; the publisher when left out
    #[arg(long, value_name = "ADDRESS", conflicts_with = "contracts")]
    pub server: Option<String>,
    /// Adapter to publish a version of; found by its name when left out
    #[arg(long, value_name = "ID", conflicts_with = "contracts")]
    pub adapter: Option<String>,
    /// Where others can pull the package, for the release to say; where it was pushed when left out
    #[arg(long, value_name = "LOCATION", conflicts_with = "contracts")]
    pub uri: Option<String>,
    /// Put openlora's contracts on the chain instead of a package
    #[arg(long)]
    pub contracts: bool,
    /// Also register the adapter in the chain's registry of agents (ERC-8004)
    #[arg(long, conflicts_with = "contracts")]
    pub agent: bool,
    /// Account that signs and pays; wallet.account when left out
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Debug, Args)]
pub struct ExploreArgs {
    /// Adapter: its id, or the name of one deployed from here; all of them when left out
    pub adapter: Option<String>,
    /// Compare this package with the registry
    #[arg(long, value_name = "PKG")]
    pub verify: Option<PathBuf>,
    /// First block to look at when all adapters are listed
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>,
        default_value_t = 0,
        conflicts_with = "adapter"
    )]
    pub from_block: u64,
}

#[derive(Debug, Args)]
pub struct EarningsArgs {
    /// Add a table with a row for each of these
    #[arg(long, value_enum)]
    pub by: Option<EarningsByArg>,
    /// Print only the table, as CSV in base units; by day when --by is left out
    #[arg(long)]
    pub csv: bool,
    /// Hold the ledger against the chains; exit 9 when they disagree
    #[arg(long, conflicts_with = "csv")]
    pub audit: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EarningsByArg {
    Day,
    Adapter,
    Payer,
    Contributor,
}

#[derive(Debug, Args)]
pub struct TreasuryArgs {
    /// Show what would be moved, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Most that a unit of gas may cost, in gwei
    #[arg(long, value_name = "GWEI")]
    pub max_fee: Option<String>,
    /// Account that signs and pays; wallet.account when left out
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

impl TreasuryArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        overrides([
            SettingFlag("deploy.max_fee", "--max-fee", self.max_fee.as_deref()),
            SettingFlag("wallet.account", "--account", self.account.as_deref()),
        ])
    }
}

#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// Where your share goes; to the account itself when left out
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    #[command(flatten)]
    pub treasury: TreasuryArgs,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Adapter: its id, or the name of one deployed from here
    pub adapter: String,
    /// Published log: a server's address, or a copy of its folder
    #[arg(long, value_name = "URL|DIR", value_parser = NonEmptyStringValueParser::new())]
    pub log: String,
    /// Folder of the adapter's package
    #[arg(long, value_name = "PKG")]
    pub package: PathBuf,
    /// Folder of the adapter's attribution index
    #[arg(long, value_name = "DIR")]
    pub index: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ClaimArgs {
    /// Contributor pool; then nothing is needed but the chain
    #[arg(long, value_name = "ADDRESS", required_unless_present = "log")]
    pub pool: Option<String>,
    /// Published log whose pools are meant: a server's address, or a copy of its folder
    #[arg(long, value_name = "URL|DIR", value_parser = NonEmptyStringValueParser::new())]
    pub log: Option<String>,
    /// Who is paid, repeated for several; the account itself when left out
    #[arg(long, value_name = "ADDRESS")]
    pub contributor: Vec<String>,
    /// Contest what waits to take force; a quorum of the static shares refuses it
    #[arg(long, group = "deed")]
    pub contest: bool,
    /// Ask the operator to propose what is unallotted; unanswered, the static shares divide it
    #[arg(long, group = "deed")]
    pub demand: bool,
    /// Have the static shares divide what was demanded and not answered in time
    #[arg(long, group = "deed")]
    pub divide: bool,
    #[command(flatten)]
    pub treasury: TreasuryArgs,
}

/// Where a password comes from when it is not typed.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// File with the password, or - for standard input
    #[arg(long, value_name = "F|-", env = "OPENLORA_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make an account with a new key
    New {
        /// Name of the account
        name: String,
        /// Unlock in a moment, which also makes guessing the password cheap: for an account that
        /// holds little
        #[arg(long)]
        light_kdf: bool,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Take over an account: private key, mnemonic or Web3 keystore
    Import {
        /// Name of the account
        name: String,
        /// File with the secret, or - for standard input; typed when left out
        #[arg(long, value_name = "FILE|-")]
        from: Option<PathBuf>,
        /// Derivation path of a mnemonic or on a Ledger; m/44'/60'/0'/0/0 when left out
        #[arg(long, value_name = "PATH")]
        path: Option<String>,
        /// Leave the key on the Ledger that is connected, and sign there
        #[arg(long, conflicts_with_all = ["from", "password_file"])]
        ledger: bool,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// List the accounts
    List,
    /// Print an account's address
    Address {
        /// Account; wallet.account or the only one when left out
        name: Option<String>,
    },
    /// Show what an account holds on the chain
    Balance {
        /// Account or address; wallet.account or the only one when left out
        account: Option<String>,
    },
    /// Reveal an account's private key
    Export {
        /// Account; wallet.account or the only one when left out
        name: Option<String>,
        /// File for the key, readable by its owner alone, instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Print the public key with which an account signs the files of packages
    ModelKey {
        /// Account; the one that `package` signs with when left out
        name: Option<String>,
        /// File for the key instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Let commands sign with an account for a while without its password (Linux)
    Unlock {
        /// Account; wallet.account or the only one when left out
        name: Option<String>,
        /// How long, such as 30m or 1h; a day at most
        #[arg(long = "for", value_name = "TIME", default_value = "15m")]
        time: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Ask for passwords again
    Lock {
        /// Account; all of them when left out
        name: Option<String>,
    },
    /// Encrypt an account with another password
    ChangePassword {
        /// Account; wallet.account or the only one when left out
        name: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
        /// File with the new password, or - for standard input
        #[arg(long, value_name = "F|-")]
        new_password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen on this machine only, and take payment on the development chain
    #[arg(long)]
    pub local: bool,
    /// Answer without payment
    #[arg(long)]
    pub free: bool,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Listen on a socket in the file system instead; calls are free
    #[arg(long, value_name = "PATH", requires = "free", conflicts_with_all = ["host", "port", "expose"])]
    pub socket: Option<PathBuf>,
    /// Allow an address that other machines can reach
    #[arg(long)]
    pub expose: bool,
    /// Make new tokens for the operator's routes and for sellers that settle here
    #[arg(long)]
    pub rotate_operator_token: bool,
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// Adapter to serve; repeat it for several
    #[arg(long, value_name = "NAME=PATH")]
    pub adapter: Vec<String>,
    /// Folder whose folders are adapters, packages or runs; each is served under its folder's name
    #[arg(long, value_name = "DIR")]
    pub adapters: Option<PathBuf>,
    /// Fetch what the network's registry registers when it is first called
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "network")]
    pub from_registry: Option<String>,
    /// Served content filter that reads prompts for pictures before anything is charged
    #[arg(long, value_name = "NAME")]
    pub prompt_filter: Option<String>,
    /// Run adapters of others, or all, in jailed processes of their own
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "others")]
    pub isolate: Option<String>,
    /// What computes answers: auto, mistralrs or native
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,
    /// Calls that the native engine answers at once for one adapter
    #[arg(long, value_name = "N")]
    pub parallel: Option<String>,
    /// Weights in memory: auto, f32, q8_0, q4_0 or q4k
    #[arg(long, value_name = "NAME")]
    pub quant: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Debug, Args)]
pub struct ContainerArgs {
    /// Folder of an image layout, or of a package
    #[arg(value_name = "IMAGE|PKG")]
    pub target: PathBuf,
    /// Base model on this machine, a folder or a GGUF file; the embedded one when left out
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// Memory of the container
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub memory: MemorySize,
    /// Processors of the container, such as 2 or 0.5; all when left out
    #[arg(long, value_name = "N")]
    pub cpus: Option<CpuShare>,
    /// Processes and threads of the container
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=100_000), default_value_t = 256)]
    pub pids: u32,
    /// Take calls on this socket in the file system instead of a port
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub socket: Option<PathBuf>,
    /// Port to take calls on; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// What starts the container: auto, runc, crun, youki or builtin
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub runtime: ContainerRuntime,
    /// Limit that may be missing if this machine cannot enforce it; repeat it for several
    #[arg(long, value_name = "LIMIT")]
    pub waive: Vec<LimitName>,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Tokens per second, time to the first token and memory for 1 to N calls at the same time
    Serve(BenchServeArgs),
}

#[derive(Debug, Args)]
pub struct BenchServeArgs {
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// Adapter to measure; repeat it for several. The newest run's, or none, when left out
    #[arg(long, value_name = "NAME=PATH")]
    pub adapter: Vec<String>,
    /// Folder whose folders are adapters, packages or runs
    #[arg(long, value_name = "DIR")]
    pub adapters: Option<PathBuf>,
    /// What computes answers: auto, mistralrs or native
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,
    /// Weights in memory: auto, f32, q8_0, q4_0 or q4k
    #[arg(long, value_name = "NAME")]
    pub quant: Option<String>,
    /// Most calls at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub streams: u16,
    /// Tokens of each prompt, nearly
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    pub prompt_tokens: u32,
    /// Tokens of each answer
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub answer_tokens: u32,
}

#[derive(Debug, Args)]
pub struct ChatArgs {
    /// Adapter to talk to; the newest run's when left out
    #[arg(long, value_name = "NAME=PATH")]
    pub adapter: Option<String>,
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// What computes answers: auto, mistralrs or native
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,
    /// Weights in memory: auto, f32, q8_0, q4_0 or q4k
    #[arg(long, value_name = "NAME")]
    pub quant: Option<String>,
    /// System message
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Randomness; 0 is greedy
    #[arg(long, value_name = "F", value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub max_tokens: Option<usize>,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// What to say, classify or draw; `-` reads standard input
    #[arg(required_unless_present = "again")]
    pub prompt: Option<String>,
    /// Ask again for the answer to a call that was paid and not answered, with the same payment
    #[arg(long, value_name = "ID", conflicts_with_all = [
        "prompt", "url", "adapter", "kind", "max_tokens", "temperature", "system", "stream",
        "static_shares", "pictures", "size", "steps", "guidance", "seed",
    ])]
    pub again: Option<String>,
    /// Server address; the project's own when left out
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Adapter to call: its name at the server; or NAME@0xREGISTRY or an adapter id, whose servers are
    /// looked up
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Kind of call; what the adapter was trained for when left out
    #[arg(long, value_name = "KIND")]
    pub kind: Option<CallKindArg>,
    /// Most that the call may cost, in token units
    #[arg(long, value_name = "P")]
    pub max_price: Option<String>,
    /// Most that the call may put into channels, in token units; as much as it may cost when left
    /// out
    #[arg(long, value_name = "P")]
    pub max_deposit: Option<String>,
    /// Longest answer in tokens
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    pub max_tokens: Option<u32>,
    /// Randomness; 0 is greedy
    #[arg(long, value_name = "F", value_parser = number)]
    pub temperature: Option<f64>,
    /// System message
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// File for a picture; several pictures have numbers before its extension
    #[arg(short = 'o', long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Number of pictures
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pictures: Option<u32>,
    /// Width and height of a picture in pixels, such as 64x64
    #[arg(long, value_name = "WxH")]
    pub size: Option<String>,
    /// Integration steps of a picture
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
    /// Weight of the prompt in a picture; 1 is none and takes half the work
    #[arg(long, value_name = "F", value_parser = number)]
    pub guidance: Option<f64>,
    /// Seed of a picture: the same one gives the same picture
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub seed: Option<u64>,
    /// Show the answer while it comes, as a terminal does anyway
    #[arg(long)]
    pub stream: bool,
    /// Have contributors credited by static shares, so that no sketch of the call is published
    #[arg(long)]
    pub static_shares: bool,
    /// How to pay: from a channel, or with one transfer; what the server offers when auto
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub scheme: SchemeArg,
    #[command(flatten)]
    pub payer: PayerArgs,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that must occur; everything when left out
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// Most results
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Server or facilitator whose list of paid resources is searched too; repeat it for several
    #[arg(long, value_name = "URL")]
    pub discovery: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ProxyArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Allow an address that other machines can reach; callers need keys then
    #[arg(long)]
    pub expose: bool,
    /// Server of plain model names; they are looked up in the registry when left out
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Most that all calls and deposits of this home may take in a day (UTC), in token units
    #[arg(long, value_name = "AMOUNT")]
    pub budget: Option<String>,
    /// Most that the calls of one caller's key may cost in a day (UTC), in token units
    #[arg(long, value_name = "AMOUNT")]
    pub per_key: Option<String>,
    /// Most that one call may cost, in token units
    #[arg(long, value_name = "AMOUNT")]
    pub max_price: Option<String>,
    /// Make a key for a caller, print it once with its setting, and stop
    #[arg(long, value_name = "NAME", conflicts_with_all = ["listen", "expose", "url"])]
    pub new_key: Option<String>,
    #[command(flatten)]
    pub payer: PayerArgs,
}

#[derive(Debug, Args)]
pub struct McpArgs {
    /// Server of plain model names; they are looked up in the registry when left out
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Most that all calls and deposits of this home may take in a day (UTC), in token units
    #[arg(long, value_name = "AMOUNT")]
    pub budget: Option<String>,
    /// Most that one call may cost, in token units
    #[arg(long, value_name = "AMOUNT")]
    pub max_price: Option<String>,
    #[command(flatten)]
    pub payer: PayerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemeArg {
    Auto,
    Exact,
    BatchSettlement,
}

/// Whose money is spent.
#[derive(Debug, Args)]
pub struct PayerArgs {
    /// Account that pays; wallet.account or the only one when left out
    #[arg(long, value_name = "WALLET")]
    pub from: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Put money into a new channel without a call
    Open(NewChannelArgs),
    /// List the channels as the chain has them
    List,
    /// Put more money into a channel
    Topup {
        #[command(flatten)]
        channel: OneChannelArgs,
        /// Deposit in token units
        #[arg(long, value_name = "AMOUNT")]
        amount: String,
    },
    /// Ask the server to give back what is left
    Refund(OneChannelArgs),
    /// Take back what is left on the chain itself, when the server is gone
    Withdraw(OneChannelArgs),
}

#[derive(Debug, Args)]
pub struct NewChannelArgs {
    /// Server address
    pub url: String,
    /// Adapter to call; needed when the server has several
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Deposit in token units
    #[arg(long, value_name = "AMOUNT")]
    pub amount: String,
    #[command(flatten)]
    pub payer: PayerArgs,
}

#[derive(Debug, Args)]
pub struct OneChannelArgs {
    /// Channel: its id or the beginning; the only open one when left out
    pub channel: Option<String>,
    #[command(flatten)]
    pub payer: PayerArgs,
}

#[derive(Debug, Subcommand)]
pub enum ReceiptsCommand {
    /// List the calls that were paid from here
    List,
    /// Show what a call cost
    Show {
        /// Request id of the call, or the beginning of it
        id: String,
        /// Explain whose data shaped the answer, as its server says
        #[arg(long)]
        why: bool,
        /// File for the proof that the call is in the server's transparency log
        #[arg(long, value_name = "FILE", conflicts_with = "why")]
        proof: Option<PathBuf>,
        /// Server to ask; the one that was paid, or this home's own, when left out
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// List the calls that were paid and not answered
    Pending,
    /// Give up the answer of a call that was paid and not answered
    Forget {
        /// Request id of the call, or the beginning of it
        id: String,
    },
    /// Compare a receipt with what was signed and with the chain
    Verify {
        /// Request id, the beginning of it, or a file with the receipt
        #[arg(value_name = "ID|FILE")]
        receipt: String,
        /// Server of a free call; this home's own when left out
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Compute a call again here and compare its answer: exit 9, and where they differ, when they do
    Replay(Box<ReplayArgs>),
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show the log's size and root as signed; this home's own log is first brought up to date
    Head {
        #[command(flatten)]
        log: LogSourceArgs,
        /// File to keep the signed checkpoint in, to compare with later
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Prove that an entry is in the log
    Prove {
        /// Request id of a call, the number of a record, or the SHA-256 of a release's manifest
        id: String,
        #[command(flatten)]
        log: LogSourceArgs,
        /// Leave out what only the parties of the call know
        #[arg(long)]
        sealed: bool,
        /// File for the proof, NAME.tlog-proof; standard output when left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Prove that the log only grew between two checkpoints: exit 9 when it did not
    Consistency {
        /// Earlier checkpoint: a file, the number of entries, or SIZE:ROOT as in an anchor
        from: String,
        /// Later checkpoint: a file, the number of entries, or SIZE:ROOT as in an anchor
        to: String,
        #[command(flatten)]
        log: LogSourceArgs,
    },
    /// Check a proof without a network: exit 9 when it proves nothing
    Verify {
        /// The .tlog-proof file
        proof: PathBuf,
        /// Public key of the log, or a file with it; this home's own when left out
        #[arg(long, value_name = "KEY|FILE")]
        vkey: Option<String>,
        /// Checkpoint that was kept, to compare with the one in the proof
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Read all entries, compare them with the signed root and count them
    Count {
        #[command(flatten)]
        log: LogSourceArgs,
    },
}

#[derive(Debug, Args)]
pub struct LogSourceArgs {
    /// Server or folder with the log; this home's own when left out
    #[arg(long, value_name = "URL|DIR", requires = "vkey")]
    pub log: Option<String>,
    /// Public key of the log, or a file with it
    #[arg(long, value_name = "KEY|FILE")]
    pub vkey: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Request id, the beginning of it, or a file with the receipt
    #[arg(value_name = "ID|FILE")]
    pub receipt: String,
    /// File with the answer: its text, a picture, or what `openlora --json call` printed
    #[arg(long, value_name = "FILE")]
    pub answer: PathBuf,
    /// File with the prompt; what the answer's file or the payment store has when left out
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    pub prompt: Option<PathBuf>,
    /// System message that was sent with the prompt
    #[arg(long, value_name = "TEXT", requires = "prompt")]
    pub system: Option<String>,
    /// File with the JSON body that was sent
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Adapter that answered: a folder, package or run; the run with its digest when left out
    #[arg(long, value_name = "PATH")]
    pub adapter: Option<PathBuf>,
    /// Base model: nano, a folder, a GGUF file, or a Hub id
    #[arg(long, value_name = "PATH|ID")]
    pub base: Option<String>,
    /// Server to ask for the receipt
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallKindArg {
    Chat,
    Classify,
    Image,
}

#[derive(Debug, Subcommand)]
pub enum DevnetCommand {
    /// Start it, or say where it runs
    Start {
        #[command(flatten)]
        chain: ChainArgs,
        /// Port to listen on; 0 takes a free one
        #[arg(long, value_name = "PORT")]
        port: Option<String>,
        /// Stay in this process until Ctrl-C
        #[arg(long)]
        foreground: bool,
        /// Home of the chain's folder
        #[arg(long, value_name = "DIR", hide = true)]
        data: Option<PathBuf>,
    },
    /// Stop it; its state stays
    Stop(ChainArgs),
    /// Say whether it runs, where, and how much it holds
    Status(ChainArgs),
    /// Delete its state and begin a new chain
    Reset(ChainArgs),
}

#[derive(Debug, Args)]
pub struct ChainArgs {
    /// Chain id; each has a process and a state of its own
    #[arg(long, value_name = "N")]
    pub chain_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the value of one key
    Get {
        /// Key such as train.rank
        key: String,
    },
    /// Show which files and folders are used
    Path,
    /// Change a key in the project file, or with --user in the user's own
    Set {
        /// Key such as train.rank
        key: String,
        /// Value as it would stand in the file; quotes may be left out
        value: String,
        /// Change the user's file
        #[arg(long)]
        user: bool,
    },
}

/// A flag and the setting that it overrides.
struct SettingFlag<'a>(&'static str, &'static str, Option<&'a str>);

fn overrides<const N: usize>(flags: [SettingFlag<'_>; N]) -> Vec<SettingOverride> {
    flags
        .into_iter()
        .filter_map(|SettingFlag(key, flag, text)| {
            text.map(|text| SettingOverride {
                key,
                flag,
                text: text.to_owned(),
            })
        })
        .collect()
}

impl TrainArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        let mut all = overrides([
            SettingFlag("base.id", "--base", self.base.as_deref()),
            SettingFlag("train.rank", "--rank", self.rank.as_deref()),
            SettingFlag("train.alpha", "--alpha", self.alpha.as_deref()),
            SettingFlag("train.targets", "--targets", self.targets.as_deref()),
            SettingFlag("train.dropout", "--dropout", self.dropout.as_deref()),
            SettingFlag("train.rslora", "--rslora", self.rslora.then_some("true")),
            SettingFlag("train.dora", "--dora", self.dora.then_some("true")),
            SettingFlag(
                "train.rank_pattern",
                "--rank-pattern",
                self.rank_pattern.as_deref(),
            ),
            SettingFlag(
                "train.alpha_pattern",
                "--alpha-pattern",
                self.alpha_pattern.as_deref(),
            ),
            SettingFlag("train.lr", "--lr", self.lr.as_deref()),
            SettingFlag(
                "train.loraplus_lr_ratio",
                "--loraplus-lr-ratio",
                self.loraplus_lr_ratio.as_deref(),
            ),
            SettingFlag("train.schedule", "--schedule", self.schedule.as_deref()),
            SettingFlag("train.warmup", "--warmup", self.warmup.as_deref()),
            SettingFlag("train.epochs", "--epochs", self.epochs.as_deref()),
            SettingFlag("train.max_steps", "--max-steps", self.max_steps.as_deref()),
            SettingFlag("train.batch", "--batch", self.batch.as_deref()),
            SettingFlag(
                "train.accumulate",
                "--accumulate",
                self.accumulate.as_deref(),
            ),
            SettingFlag("train.val", "--val", self.val.as_deref()),
            SettingFlag("train.patience", "--patience", self.patience.as_deref()),
            SettingFlag("train.seed", "--seed", self.seed.as_deref()),
            SettingFlag("train.precision", "--precision", self.precision.as_deref()),
            SettingFlag(
                "train.checkpoint_activations",
                "--checkpoint-activations",
                self.checkpoint_activations.then_some("true"),
            ),
            SettingFlag(
                "attribution.enabled",
                "--no-attribution",
                self.no_attribution.then_some("false"),
            ),
        ]);
        all.extend(self.columns.overrides());
        all.extend(self.lengths.overrides());
        all
    }
}

impl EvalArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        let mut all = overrides([
            SettingFlag("base.id", "--base", self.base.as_deref()),
            SettingFlag("eval.min_gain", "--min-gain", self.min_gain.as_deref()),
        ]);
        all.extend(self.columns.overrides());
        all.extend(self.lengths.overrides());
        all
    }
}

impl DataCommand {
    fn overrides(&self) -> Vec<SettingOverride> {
        match self {
            Self::Check(files) | Self::Preview { files, .. } | Self::Split { files, .. } => {
                files.columns.overrides()
            }
        }
    }
}

impl AttributionBuildArgs {
    fn overrides(&self) -> Vec<SettingOverride> {
        overrides([
            SettingFlag("base.id", "--base", self.base.as_deref()),
            SettingFlag("attribution.method", "--method", self.method.as_deref()),
        ])
    }
}

fn whole<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "expected a whole number from 0")
}

fn number(text: &str) -> Result<f64, &'static str> {
    let parsed = text.parse::<f64>().ok();
    parsed
        .filter(|it| it.is_finite())
        .ok_or("expected a number")
}

fn temperature(text: &str) -> Result<f64, &'static str> {
    let parsed = text.parse().ok();
    let fits = parsed.filter(|it| (0.0..=2.0).contains(it));
    fits.ok_or("expected a number from 0 to 2")
}

/// Takes negative numbers for values in every command, so that what checks a value refuses them by
/// their range, and not the parser as unknown flags.
fn with_negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    });
    command.mut_subcommands(with_negative_numbers)
}

impl Cli {
    /// Parses a command line, the program's name first.
    pub fn parse_line(args: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = with_negative_numbers(Self::command());
        let matches = command.try_get_matches_from_mut(args)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// The settings that flags override.
    pub fn overrides(&self) -> Vec<SettingOverride> {
        let network = self.global.network.as_deref();
        let mut all = overrides([SettingFlag("project.network", "--network", network)]);
        all.extend(self.command.overrides());
        all
    }
}

impl CliCommand {
    /// Whether the command can do its work without the settings files, so that a mistake in one of
    /// them need not stop it.
    pub fn works_without_settings(&self) -> bool {
        match self {
            Self::Demo(_)
            | Self::Init(_)
            | Self::Doctor { .. }
            | Self::Completions { .. }
            | Self::Man
            | Self::Config(ConfigCommand::Set { user: true, .. }) => true,
            // A file chooses the chain, and another chain's state must not be deleted.
            Self::Devnet(command) => !matches!(command, DevnetCommand::Reset(_)),
            Self::Wallet(command) => !matches!(
                command,
                WalletCommand::Balance { .. } | WalletCommand::ModelKey { name: None, .. }
            ),
            _ => false,
        }
    }

    fn overrides(&self) -> Vec<SettingOverride> {
        match self {
            Self::Package(args) => overrides([
                SettingFlag("base.id", "--base", args.base.as_deref()),
                SettingFlag("wallet.account", "--account", args.account.as_deref()),
            ]),
            Self::Export(args) => {
                overrides([SettingFlag("base.id", "--base", args.base.as_deref())])
            }
            Self::Deploy(args) => overrides([
                SettingFlag("deploy.max_fee", "--max-fee", args.max_fee.as_deref()),
                SettingFlag("wallet.account", "--account", args.account.as_deref()),
            ]),
            Self::Dash(args) => overrides([
                SettingFlag("dash.theme", "--theme", args.theme.as_deref()),
                SettingFlag(
                    "dash.animation",
                    "--no-animation",
                    args.no_animation.then_some("false"),
                ),
            ]),
            Self::Settle(args) => args.overrides(),
            Self::Claim(args) => args.treasury.overrides(),
            Self::Withdraw(args) => args.treasury.overrides(),
            Self::Train(args) => args.overrides(),
            Self::Eval(args) => args.overrides(),
            Self::Data(command) => command.overrides(),
            Self::Chat(args) => overrides([
                SettingFlag("base.id", "--base", args.base.as_deref()),
                SettingFlag("serve.engine", "--engine", args.engine.as_deref()),
                SettingFlag("serve.quant", "--quant", args.quant.as_deref()),
            ]),
            Self::Bench(BenchCommand::Serve(args)) => overrides([
                SettingFlag("base.id", "--base", args.base.as_deref()),
                SettingFlag("serve.engine", "--engine", args.engine.as_deref()),
                SettingFlag("serve.quant", "--quant", args.quant.as_deref()),
            ]),
            Self::Serve(args) => overrides([
                SettingFlag("base.id", "--base", args.base.as_deref()),
                SettingFlag("serve.host", "--host", args.host.as_deref()),
                SettingFlag("serve.port", "--port", args.port.as_deref()),
                SettingFlag("serve.engine", "--engine", args.engine.as_deref()),
                SettingFlag("serve.parallel", "--parallel", args.parallel.as_deref()),
                SettingFlag("serve.quant", "--quant", args.quant.as_deref()),
                SettingFlag(
                    "serve.from_registry",
                    "--from-registry",
                    args.from_registry.as_deref(),
                ),
                SettingFlag(
                    "serve.prompt_filter",
                    "--prompt-filter",
                    args.prompt_filter.as_deref(),
                ),
                SettingFlag("serve.isolate", "--isolate", args.isolate.as_deref()),
            ]),
            Self::Proxy(args) => overrides([
                SettingFlag("call.budget", "--budget", args.budget.as_deref()),
                SettingFlag("proxy.listen", "--listen", args.listen.as_deref()),
                SettingFlag("proxy.max_price", "--max-price", args.max_price.as_deref()),
                SettingFlag("proxy.per_key", "--per-key", args.per_key.as_deref()),
                SettingFlag("proxy.server", "--url", args.url.as_deref()),
            ]),
            Self::Mcp(args) => overrides([
                SettingFlag("call.budget", "--budget", args.budget.as_deref()),
                SettingFlag("proxy.max_price", "--max-price", args.max_price.as_deref()),
                SettingFlag("proxy.server", "--url", args.url.as_deref()),
            ]),
            Self::Run(args) => {
                overrides([SettingFlag("serve.port", "--port", args.port.as_deref())])
            }
            Self::Receipts(ReceiptsCommand::Replay(args)) => {
                overrides([SettingFlag("base.id", "--base", args.base.as_deref())])
            }
            Self::Devnet(command) => command.overrides(),
            Self::Attribution(AttributionCommand::Build(args)) => args.overrides(),
            _ => Vec::new(),
        }
    }
}

impl DevnetCommand {
    fn overrides(&self) -> Vec<SettingOverride> {
        let (chain, port) = match self {
            Self::Start { chain, port, .. } => (chain, port.as_deref()),
            Self::Stop(chain) | Self::Status(chain) | Self::Reset(chain) => (chain, None),
        };
        let chain_id = chain.chain_id.as_deref();
        overrides([
            SettingFlag("devnet.chain_id", "--chain-id", chain_id),
            SettingFlag("devnet.port", "--port", port),
        ])
    }
}
