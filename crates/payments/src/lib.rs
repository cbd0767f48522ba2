//! Payments for calls by x402: the payer's side, the seller's side, settlement on the chain, and the
//! rewards that are paid from it.
//!
//! ```
//! use openlora_core::{Address, Amount};
//! use openlora_ledger::ChannelTerms;
//! use openlora_payments::x402::{digest::EscrowDomain, signature};
//! use openlora_wallet::{SecretKey, WalletAccount};
//!
//! let payer = WalletAccount::new("payer", SecretKey::random()?);
//! let terms = ChannelTerms {
//!     payer: payer.address(),
//!     payer_authorizer: payer.address(),
//!     receiver: Address([1; 20]),
//!     receiver_authorizer: Address([2; 20]),
//!     token: Address([3; 20]),
//!     withdraw_delay: 900,
//!     salt: Default::default(),
//! };
//! // A voucher allows a channel's receiver to claim up to a total.
//! let escrow = EscrowDomain::for_chain(8453);
//! let voucher = escrow.voucher(escrow.channel_id(&terms), Amount(1_000));
//! let signed = signature::sign(&payer, voucher)?;
//! assert_eq!(signature::recover(voucher, &signed)?, payer.address());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod payer;
pub mod rewards;
pub mod settlement;
pub mod x402;
