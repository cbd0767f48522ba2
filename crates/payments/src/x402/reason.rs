//! The reasons for refusing a payment: the codes that stock clients recognise, and a sentence for
//! people. One table.

macro_rules! reasons {
    ($($name:ident => $code:literal, $message:literal;)+) => {
        /// The reason for refusing a payment.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($name),+
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code that clients compare.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code),+
                }
            }

            /// The sentence for people.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message),+
                }
            }
        }
    };
}

reasons! {
    PaymentRequired => "payment_required",
        "This call is paid: send a payment for one of the offers.";
    UnsupportedScheme => "unsupported_scheme",
        "No offer has this scheme.";
    OtherTerms => "invalid_payment_requirements",
        "The accepted offer is not the current one.";
    ExactNetwork => "invalid_exact_evm_network_mismatch",
        "No `exact` offer is for this network.";
    ExactRecipient => "invalid_exact_evm_recipient_mismatch",
        "The authorization pays somebody else.";
    ExactValue => "invalid_exact_evm_authorization_value",
        "The authorization is not for exactly the amount of the offer.";
    ExactExpired => "invalid_exact_evm_payload_authorization_valid_before",
        "The authorization has ended, or ends before it could be used.";
    ExactEarly => "invalid_exact_evm_payload_authorization_valid_after",
        "The authorization has not begun.";
    ExactSignature => "invalid_exact_evm_signature",
        "The authorization is not signed by its payer.";
    ExactUsed => "invalid_exact_evm_nonce_already_used",
        "The authorization was used before, or cancelled.";
    ExactRefused => "invalid_exact_evm_transaction_simulation_failed",
        "The chain would refuse the transfer.";
    ExactFailed => "invalid_exact_evm_transaction_failed",
        "The chain refused the transfer.";
    BatchNetwork => "invalid_batch_settlement_evm_network_mismatch",
        "No `batch-settlement` offer is for this network.";
    PayloadType => "invalid_batch_settlement_evm_payload_type",
        "This type of payment does not pay for this.";
    ChannelId => "invalid_batch_settlement_evm_channel_id_mismatch",
        "The channel's id is not that of its terms on this network.";
    Receiver => "invalid_batch_settlement_evm_receiver_mismatch",
        "The channel pays another receiver than this offer: it was opened for another adapter or version. What is left in it comes back by a withdrawal on the chain.";
    ReceiverAuthorizer => "invalid_batch_settlement_evm_receiver_authorizer_mismatch",
        "The channel names another account of the server than this offer, whose key is not at hand here. What is left in it comes back by a withdrawal on the chain.";
    Token => "invalid_batch_settlement_evm_token_mismatch",
        "The channel holds another token.";
    WithdrawDelayRange => "invalid_batch_settlement_evm_withdraw_delay_out_of_range",
        "The channel's withdraw delay is not between 900 and 2592000 seconds.";
    WithdrawDelay => "invalid_batch_settlement_evm_withdraw_delay_mismatch",
        "The channel has another withdraw delay than the offer.";
    Cumulative => "invalid_batch_settlement_evm_cumulative_amount_mismatch",
        "The voucher is not for what is charged plus the amount of the offer.";
    BelowClaimed => "invalid_batch_settlement_evm_cumulative_below_claimed",
        "The voucher is not above what is claimed already.";
    AboveBalance => "invalid_batch_settlement_evm_cumulative_exceeds_balance",
        "The voucher is above what the channel holds.";
    ChannelNotFound => "invalid_batch_settlement_evm_channel_not_found",
        "The channel holds nothing.";
    VoucherSignature => "invalid_batch_settlement_evm_voucher_signature",
        "The voucher is not signed by the payer's authorizer.";
    ContractPayer => "invalid_openlora_contract_payer",
        "Neither vouchers that a contract decides about nor transfers and deposits from accounts with \
         code are taken here: pay from an account without code.";
    RequestBinding => "invalid_openlora_request_binding",
        "The payment is bound to another request, or to none where its payer's always are.";
    RefundRequest => "invalid_openlora_refund_request",
        "The refund request is not signed by the payer's authorizer for the channel's refund nonce, \
         or its time is over or further ahead than 600 seconds.";
    Crowded => "invalid_openlora_channel_crowded",
        "Over a thousand totals of the channel are allowed and not charged: pay from another one.";
    DepositLimit => "invalid_openlora_deposit_limit",
        "So many deposits a day are put on the chain for one payer: make this one yourself, or come \
         back tomorrow.";
    TransferLimit => "invalid_openlora_transfer_limit",
        "So many transfers a day are put on the chain for one payer: pay from a channel, or come back \
         tomorrow.";
    ExactTooSmall => "invalid_openlora_exact_too_small",
        "The call costs too little for a transfer of its own: pay from a channel.";
    ContractTooSmall => "invalid_openlora_contract_too_small",
        "The call costs too little for a claim of its own, which a contract's voucher needs: pay from \
         an account without code.";
    RefundLimit => "invalid_openlora_refund_limit",
        "So many refunds a day are made for one payer: withdraw from the escrow, or come back \
         tomorrow.";
    ChannelRefundLimit => "invalid_openlora_channel_refund_limit",
        "So many refunds a day are made from one channel that its payer has not signed for: sign a \
         refund request (`openlora-refund`), withdraw from the escrow, or come back tomorrow.";
    RefundCancelled => "invalid_openlora_refund_cancelled",
        "A call was paid from the channel meanwhile, so nothing is given back.";
    RefundClaimed => "invalid_openlora_refund_claimed",
        "A claim has published the voucher, or one above it, for everybody: sign a refund request \
         (`openlora-refund`), or withdraw from the escrow.";
    RefundFee => "invalid_openlora_refund_fee",
        "What is left in the channel is not above the fee for a refund's gas, or the refund request \
         pays another one.";
    Withdrawal => "invalid_batch_settlement_evm_withdrawal_pending",
        "A withdrawal from the channel is in progress.";
    DepositTooSmall => "invalid_batch_settlement_evm_deposit_below_min_deposit",
        "The deposit is below the offer's minimum.";
    DepositMethod => "invalid_batch_settlement_evm_erc3009_authorization_required",
        "A deposit needs an ERC-3009 authorization.";
    DepositExpired => "invalid_batch_settlement_evm_payload_authorization_valid_before",
        "The deposit's authorization has ended, or ends before it could be used.";
    DepositEarly => "invalid_batch_settlement_evm_payload_authorization_valid_after",
        "The deposit's authorization has not begun.";
    DepositSignature => "invalid_batch_settlement_evm_receive_authorization_signature",
        "The deposit's authorization is not signed by the payer.";
    DepositRefused => "invalid_batch_settlement_evm_deposit_simulation_failed",
        "The chain would refuse the deposit.";
    DepositFailed => "invalid_batch_settlement_evm_deposit_transaction_failed",
        "The chain refused the deposit.";
    RefundEmpty => "invalid_batch_settlement_evm_refund_no_balance",
        "Nothing is left in the channel.";
    RefundAmount => "invalid_batch_settlement_evm_refund_amount_invalid",
        "A refund of nothing was asked for.";
    RefundRefused => "invalid_batch_settlement_evm_refund_simulation_failed",
        "The chain would refuse the refund.";
    ExactScheme => "invalid_exact_evm_scheme",
        "Payment and requirements name different schemes.";
    TokenName => "invalid_exact_evm_token_name_mismatch",
        "The token has another name or version to sign with.";
    BatchScheme => "invalid_batch_settlement_evm_scheme",
        "Payment and requirements name different schemes.";
    AuthorizerMissing => "invalid_batch_settlement_evm_authorizer_not_configured",
        "The receiver authorizer's signature is missing, and nobody here can make it.";
    ClaimRefused => "invalid_batch_settlement_evm_claim_simulation_failed",
        "The chain would refuse the claim.";
    SettleRefused => "invalid_batch_settlement_evm_settle_simulation_failed",
        "The chain would refuse to settle.";
    NothingToSettle => "invalid_batch_settlement_evm_nothing_to_settle",
        "Nothing is claimed that was not settled.";
    RpcReadFailed => "invalid_batch_settlement_evm_rpc_read_failed",
        "The chain cannot be asked now.";
    Pending => "settlement_pending",
        "It is not known yet what became of the transaction.";
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
    }

    /// Whether the chain may have been asked before this refusal.
    pub fn may_ask_chain(self) -> bool {
        matches!(
            self,
            Self::ExactSignature
                | Self::ExactUsed
                | Self::ExactRefused
                | Self::ExactFailed
                | Self::ContractPayer
                | Self::AboveBalance
                | Self::ChannelNotFound
                | Self::VoucherSignature
                | Self::DepositSignature
                | Self::DepositRefused
                | Self::DepositFailed
                | Self::RefundEmpty
                | Self::RefundRequest
                | Self::RequestBinding
        )
    }
}
