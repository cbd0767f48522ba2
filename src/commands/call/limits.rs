//! Limits of the price and the deposits of one call: set by flags, by settings or by a
//! confirmation.

use crate::commands::{CommandContext, ask, money};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_payments::payer::{Payer, PayerError, PaymentOffer};

/// The channel that receives a deposit.
#[derive(Clone, Copy, Debug)]
pub struct DepositTarget<'a> {
    pub server: &'a str,
    pub receiver: Address,
    /// Withdrawal delay in seconds.
    pub delay: u64,
}

impl<'a> DepositTarget<'a> {
    pub fn from_offer(offer: &'a PaymentOffer) -> Self {
        Self {
            server: &offer.server,
            receiver: offer.terms.pay_to,
            delay: offer.delay(),
        }
    }
}

/// The limits of one call.
pub struct CallLimits<'a> {
    context: &'a CommandContext,
    payer: &'a Payer,
    /// `--max-price`.
    price: Option<Amount>,
    /// `--max-deposit`.
    deposit: Option<Amount>,
    /// `call.ask_above`.
    ask_above: Amount,
    /// `call.max_deposit`.
    standing: Amount,
    /// `call.max_delay`, in seconds.
    longest: u64,
}

/// The values of `--max-price` and `--max-deposit`.
#[derive(Clone, Copy)]
pub struct LimitFlags<'a> {
    pub price: Option<&'a str>,
    pub deposit: Option<&'a str>,
}

impl<'a> CallLimits<'a> {
    /// Resolves the limits from flags and settings.
    pub fn resolve(
        context: &'a CommandContext,
        payer: &'a Payer,
        LimitFlags { price, deposit }: LimitFlags<'_>,
    ) -> Result<Self, Failure> {
        let flag = |name, text: Option<&str>| {
            text.map(|text| money::flag(name, text, &payer.token))
                .transpose()
        };
        let settings = &context.settings.call;
        let amount = |stated| money::amount(stated, &payer.token);
        let standing = settings.max_deposit.as_ref().map(amount).transpose()?;
        Ok(Self {
            price: flag("--max-price", price)?,
            deposit: flag("--max-deposit", deposit)?,
            ask_above: amount(&settings.ask_above)?,
            standing: standing.unwrap_or_default(),
            longest: settings.max_delay.as_secs(),
            context,
            payer,
        })
    }

    /// The largest deposit without confirmation. If a flag set it, also returns the flag's name:
    /// the limit is then final.
    fn allowed_deposit(&self) -> (Amount, Option<&'static str>) {
        match (self.deposit, self.price) {
            (Some(limit), _) => (limit, Some("--max-deposit")),
            (None, Some(limit)) => (limit.max(self.standing), Some("--max-price")),
            (None, None) => (self.ask_above.max(self.standing), None),
        }
    }

    /// What may be deposited without confirmation.
    pub fn free(&self) -> Amount {
        self.allowed_deposit().0
    }

    /// Shows the price, and asks for confirmation if it exceeds `call.ask_above`.
    pub fn allow_price(&self, quote: Amount, shown: impl Fn() -> String) -> Result<(), Failure> {
        let price = self.payer.money(quote);
        if let Some(limit) = self.price.filter(|limit| quote > *limit) {
            let limit = self.payer.money(limit);
            return Err(PayerError::Price { price, limit }.into());
        }
        self.context.printer.note(shown());
        if quote <= self.ask_above || self.price.is_some() {
            return Ok(());
        }
        let limit = self.payer.money(self.ask_above);
        let deed = format!("this call may cost {price}");
        let limit = format!("{limit} (`call.ask_above`)");
        self.confirm(&deed, &limit, format!("--max-price {}", price.number()))
    }

    /// Shows a deposit with its receiver and withdrawal delay, and asks for confirmation if it
    /// exceeds the limit. `earlier` is what the same call has already deposited.
    pub fn allow_deposit(
        &self,
        deposit: Amount,
        earlier: Amount,
        to: DepositTarget<'_>,
    ) -> Result<(), Failure> {
        let DepositTarget {
            server,
            receiver,
            delay,
        } = to;
        if delay > self.longest {
            return Err(PayerError::Terms {
                server: server.to_owned(),
                field: "extra.withdrawDelay",
                expected: format!("at most {} seconds (`call.max_delay`)", self.longest),
                found: delay.to_string(),
            }
            .into());
        }
        let all = self.payer.money(deposit.saturating_add(earlier));
        let (limit, last_word) = self.allowed_deposit();
        let limit = self.payer.money(limit);
        let fits = all.amount <= limit.amount;
        if let Some(allowed_by) = last_word.filter(|_| !fits) {
            return Err(PayerError::Deposit {
                deposit: all,
                limit,
                receiver,
                allowed_by,
            }
            .into());
        }
        self.context.printer.note(format!(
            "{} go into a channel with {receiver}; taking back what is left of it takes up to \
             {delay} seconds",
            self.payer.money(deposit)
        ));
        if fits {
            return Ok(());
        }
        let deed = format!("this call puts {all} into a channel with {receiver}");
        let setting = match self.standing > self.ask_above {
            true => "call.max_deposit",
            false => "call.ask_above",
        };
        let limit = format!("{limit} (`{setting}`)");
        self.confirm(&deed, &limit, format!("--max-deposit {}", all.number()))
    }

    /// Amounts above the limit need an explicit confirmation: `--yes` is not enough.
    fn confirm(&self, deed: &str, limit: &str, flag: String) -> Result<(), Failure> {
        if self.context.yes || self.context.no_input {
            let message = format!("{deed}, and above {limit} a person is asked");
            let failure = Failure::new(ExitClass::Unconfirmed, message);
            return Err(failure.with_hint(format!("allow it with {flag}")));
        }
        ask::confirm(self.context, deed, "yes")
    }
}
