//! The labels of earlier versions, which compared them instead of keys. Each form that a version
//! has ever written is in [`FORMS`]; new labels do not belong here.

use super::tx_key::{TxKey, UnknownTxLabel};
use crate::event::TxIntent;

/// The texts at the placeholders of a form.
type Blanks<'a> = Vec<&'a str>;

/// A form of a label, with `{}` for each variable part.
struct LabelForm {
    text: &'static str,
    /// The key that a label of this form stands for.
    key: fn(&Blanks<'_>, &TxIntent) -> Option<TxKey>,
}

/// In this order: the first form that fits decides.
const FORMS: &[LabelForm] = &[
    LabelForm {
        text: "a deposit of {} into channel {} by authorization {} for the request {}",
        key: deposit,
    },
    LabelForm {
        text: "a deposit of {} into channel {} by authorization {}",
        key: deposit,
    },
    LabelForm {
        text: "a transfer of {} from {} to {} by authorization {} for the request {}",
        key: transfer,
    },
    LabelForm {
        text: "a transfer of {} from {} to {} by authorization {}",
        key: transfer,
    },
    LabelForm {
        text: "a refund of {} from channel {}, {} of which is charged",
        key: refund,
    },
];

/// Forms that name a kind of transaction, and not a single one.
const KINDS: &[&str] = &[
    // Servers.
    "a claim of {} from channel {}",
    "a claim of {} from {} channels",
    "a claim before its call for others",
    "a claim for others",
    "a settlement for others",
    "a refund for others",
    "settling what is claimed for {}",
    "releasing the share of {} from {}",
    // Rewards.
    "anchoring {} calls as {}",
    "fetching {} for {} from the pool {}",
    "activating proposal {} of the pool {}",
    "proposing {} to the pool {}",
    "contesting what is proposed to the pool {}",
    "demanding a proposal to the pool {}",
    "dividing by static shares what the pool {} left unanswered",
    // Deployment.
    "creating {}",
    "registering {} {}",
    "publishing {} {}",
    "authorising {} to serve {}",
    "funding {}",
    // Payers.
    "depositing {}",
    "making {}",
    "taking {} back from channel {} on `{}`",
    "ending the withdrawal from channel {}",
];

impl TxIntent {
    /// The key of the transaction. Journals of earlier versions have labels only; `None` if such a
    /// label has a known form that names no single transaction. Those transactions are recovered
    /// from the totals on the chain.
    ///
    /// # Errors
    ///
    /// There is no key, and the label has no known form.
    pub fn read_key(&self) -> Result<Option<TxKey>, UnknownTxLabel> {
        match &self.key {
            Some(key) => Ok(Some(key.clone())),
            None => parse(self),
        }
    }

    /// Whether it may be the transaction with this key.
    pub fn may_be(&self, asked: &TxKey) -> bool {
        match self.read_key() {
            Ok(key) => key.is_some_and(|key| key.may_be(asked)),
            Err(_) => true,
        }
    }
}

/// The key that a label stands for; `None` for a form of [`KINDS`].
fn parse(intent: &TxIntent) -> Result<Option<TxKey>, UnknownTxLabel> {
    let label = intent.purpose.as_str();
    let of_form = |form: &LabelForm| {
        let blanks = blanks(form.text, label)?;
        (form.key)(&blanks, intent)
    };
    if let Some(key) = FORMS.iter().find_map(of_form) {
        return Ok(Some(key));
    }
    if KINDS.iter().any(|form| blanks(form, label).is_some()) {
        return Ok(None);
    }
    Err(UnknownTxLabel {
        tx: intent.tx.clone(),
        label: intent.purpose.clone(),
    })
}

/// The texts at a form's placeholders; `None` if the label has another form.
fn blanks<'a>(form: &str, label: &'a str) -> Option<Blanks<'a>> {
    let mut literals = form.split("{}");
    let mut rest = label.strip_prefix(literals.next()?)?;
    let mut blanks = Vec::new();
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let (blank, after) = match literals.peek() {
            None => (rest.strip_suffix(literal)?, ""),
            Some(_) => rest.split_once(literal)?,
        };
        if blank.is_empty() {
            return None;
        }
        blanks.push(blank);
        rest = after;
    }
    rest.is_empty().then_some(blanks)
}

fn deposit(blanks: &Blanks<'_>, _: &TxIntent) -> Option<TxKey> {
    let [amount, channel, nonce, request @ ..] = blanks.as_slice() else {
        return None;
    };
    Some(TxKey::Deposit {
        channel: channel.parse().ok()?,
        amount: amount.parse().ok()?,
        nonce: nonce.parse().ok()?,
        request: request.first().map(|it| it.parse()).transpose().ok()?,
    })
}

/// The label does not name the token, which is the contract that is called.
fn transfer(blanks: &Blanks<'_>, intent: &TxIntent) -> Option<TxKey> {
    let [amount, from, to, nonce, request @ ..] = blanks.as_slice() else {
        return None;
    };
    Some(TxKey::Transfer {
        token: intent.to.parse().ok()?,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        amount: amount.parse().ok()?,
        nonce: nonce.parse().ok()?,
        request: request.first().map(|it| it.parse()).transpose().ok()?,
    })
}

fn refund(blanks: &Blanks<'_>, _: &TxIntent) -> Option<TxKey> {
    let [amount, channel, _] = blanks.as_slice() else {
        return None;
    };
    Some(TxKey::Refund {
        channel: channel.parse().ok()?,
        amount: amount.parse().ok()?,
        refund_nonce: None,
    })
}
