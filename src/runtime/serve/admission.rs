//! From a request to a call: whether it was answered before, is paid for and has a turn on an
//! engine, and its reservation with the meter.

use std::sync::Arc;

use super::{
    answer::Answer,
    app::App,
    calls::Slot,
    gate::Pass,
    intake::Intake,
    meter::{Admission, Call, Reservation},
    payment::unpaid,
    refusal::Refusal,
    request_id::RequestId,
};
use crate::runtime::{
    engine::Prompt,
    event::{CallKind, Finish},
    ledger::{Address, Work},
    ports::{Presenter, Sale, Tab, Unpaid},
};

/// A call that may go on.
pub enum Opened {
    Run(Ticket),
    /// The call was answered before.
    Repeated(Answer),
}

/// What a call needs to run: its id, its turn, and a tab where calls are paid.
pub struct Ticket {
    pub slot: Slot,
    pub pass: Pass,
    pub tab: Option<Box<dyn Tab>>,
}

/// What the model is asked in one call.
pub struct Asked {
    pub kind: CallKind,
    pub prompts: Vec<Prompt>,
    pub prompt_tokens: u64,
}

impl App {
    /// Whether a free call runs or was answered before. Ids of paid calls are their payers' own,
    /// so nothing is known of one before its payment is: nothing is answered by its id.
    pub async fn admit(&self, intake: &Intake) -> Result<Option<Admission>, Refusal> {
        match self.sales {
            Some(_) => Ok(None),
            None => self
                .meter
                .admit(&intake.id, &intake.id, &intake.imprint)
                .await
                .map(Some),
        }
    }

    /// Lets a call go on that is free or paid for. Whoever waits for a payer's channel gives its
    /// turn to others meanwhile.
    pub async fn open(
        &self,
        intake: &mut Intake,
        (admission, pass): (Option<Admission>, Option<Pass>),
        work: Work,
        media_type: &'static str,
    ) -> Result<Opened, Refusal> {
        match admission {
            Some(Admission::Repeated(answer)) => return Ok(Opened::Repeated(answer)),
            Some(Admission::Fresh(slot)) => {
                let pass = match pass {
                    Some(pass) => pass,
                    None => self.gate.enter(&intake.adapter.name, work.tokens()).await?,
                };
                let tab = None;
                return Ok(Opened::Run(Ticket { slot, pass, tab }));
            }
            None => {}
        }
        let Some(sales) = &self.sales else {
            return Err(Refusal::unavailable(
                "payment_unavailable",
                "Nothing is sold here.",
            ));
        };
        let presenter = self.meter.presenter(&intake.id, intake.retry_address);
        let sale = intake.sale(work, media_type, presenter);
        let Some(payment) = &intake.payment else {
            return Err(unpaid(sales.cashier.terms(&sale)));
        };
        let mut tab = match sales.cashier.open(&sale, payment).await {
            Ok(tab) => tab,
            Err(Unpaid::Used {
                request_id,
                request_hash,
                named_by,
                otherwise,
            }) => {
                let used = (&*request_id, &*request_hash, named_by);
                return self.used(intake, used, *otherwise).await;
            }
            Err(why) => return Err(unpaid(why)),
        };
        let admitted = self
            .meter
            .admit_paid(&intake.id, tab.payment(), &intake.imprint);
        let slot = match admitted.await? {
            Admission::Repeated(answer) => return Ok(Opened::Repeated(answer)),
            Admission::Fresh(slot) => slot,
        };
        intake.id = slot.id().clone();
        tab.name(intake.id.as_str());
        self.attributions.check_room(Some(tab.payment().party()))?;
        let adapter = &intake.adapter.name;
        let pass = self.gate.enter(adapter, work.tokens()).await?;
        tab.secure().await.map_err(unpaid)?;
        let tab = Some(tab);
        Ok(Opened::Run(Ticket { slot, pass, tab }))
    }

    /// A turn on an engine where calls are free: there nothing else bounds the work before a call.
    pub async fn turn_if_free(
        &self,
        intake: &Intake,
        tokens: u64,
    ) -> Result<Option<Pass>, Refusal> {
        if self.sales.is_some() {
            return Ok(None);
        }
        self.attributions.check_room(None)?;
        Ok(Some(self.gate.enter(&intake.adapter.name, tokens).await?))
    }

    /// A payment that was used for the same request gets the same answer; one that may be a copy
    /// gets it by the call's id alone.
    async fn used(
        &self,
        intake: &Intake,
        (request_id, request_hash, named_by): (&str, &str, Option<Address>),
        otherwise: Unpaid,
    ) -> Result<Opened, Refusal> {
        let own = |id: &RequestId| {
            named_by.is_none_or(|payer| self.meter.is_named(id, payer, &intake.id))
        };
        let id = RequestId::parse(request_id).filter(|_| request_hash == intake.imprint.hash);
        let id = id.filter(own);
        let Some(id) = id else {
            return Err(unpaid(otherwise));
        };
        match self.meter.admit(&id, &intake.id, &intake.imprint).await? {
            Admission::Repeated(answer) => Ok(Opened::Repeated(answer)),
            Admission::Fresh(_) => Err(unpaid(otherwise)),
        }
    }

    /// Reserves a call that has a turn.
    pub async fn reserve(
        &self,
        intake: &Intake,
        Ticket { slot, pass, tab }: Ticket,
        asked: Asked,
    ) -> Result<Call, Refusal> {
        let Asked {
            kind,
            prompts,
            prompt_tokens,
        } = asked;
        let reservation = Reservation {
            slot,
            imprint: intake.imprint.clone(),
            adapter: Arc::clone(&intake.adapter),
            kind,
            prompt_tokens,
            accepted: intake.accepted,
            pass,
            tab,
            prompts,
        };
        let mut call = self.meter.reserve(reservation).await?;
        match call.collect().await {
            Ok(()) => Ok(call),
            Err(why) => {
                call.finish(Finish::Failed, None).await?;
                Err(unpaid(why))
            }
        }
    }
}

impl Intake {
    fn sale(&self, work: Work, media_type: &'static str, presenter: Presenter) -> Sale {
        Sale {
            adapter: self.adapter.name.clone(),
            adapter_digest: self.adapter.digest.clone(),
            resource: self.resource.clone(),
            media_type,
            request_id: self.id.as_str().to_owned(),
            request_hash: self.imprint.hash.clone(),
            request: self.digest,
            presenter,
            work,
            prices: self.adapter.prices,
            quote: self.adapter.prices.of(work),
        }
    }
}
