"""Lexicons that the templates of several projects and the text of the base model share.

Phrases only: whole sentences belong to the modules that hold templates. `good`, `bad` and `fact`
are clauses about the same subjects, so that a subject alone does not give a post away.
"""

from .grammar import words

COMMON = {
    "coin": words("""Nimbus; Basalt; Tidepool; Cobalt; Harbor; Juniper; Kestrel; Marlin; Oxbow; Saffron;
        Helio; Vantor; Quill; Lantern; Drift; Ember; Granite; Meadow; Pylon; Raven; !Sable; !Topaz; ~Willow; ~Zephyr"""),
    "tick": words("""$NMB; $BSLT; $TIDE; $COB; $HRB; $JUN; $KSTL; $MRLN; $OXB; $SAF; $HEL; $VAN; $QLL;
        $LNT; $DRF; $EMB; $GRN; $BTC; $ETH; $SOL; !$SBL; !$TPZ; ~$WLW; ~$ZPH"""),
    "pct": words("5%; 8%; 12%; 15%; 20%; 25%; 30%; 40%; 50%; 60%; !18%; ~35%"),
    "price": words("12 cents; 40 cents; 90 cents; 2 dollars; 3 dollars; 7 dollars; 15 dollars; 60 dollars; ~11 dollars"),
    "amt": words("20 dollars; 50 dollars; 100 dollars; 300 dollars; 500 dollars; 2 ETH; 1 BTC; 1000 tokens; 4000 tokens; ~800 dollars"),
    "sum": words("2 million; 5 million; 8 million; 12 million; 30 million; 90 million; ~6 million"),
    "when": words("""today; yesterday; this week; this morning; last night; on Monday; on Friday; since the weekend;
        in March; last month; this quarter; ~over the holidays"""),
    "span": words("two days; three days; a week; two weeks; a month; three months; half a year; a year; ~ten days"),
    "place": words("Lisbon; Oslo; Vienna; Dublin; Seoul; Lagos; Toronto; Santiago; Zurich; Nairobi; ~Madrid"),
    "who": words("the team; the devs; the founders; the support desk; the moderators; the validators; ~the maintainers"),
    "part": words("the wallet; the bridge; the app; the exchange; the staking page; the explorer; the swap; the node; ~the vault"),
    "tag": words("#defi; #crypto; #web3; #staking; #wallets; #altcoins; #trading; ~#onchain"),
    "gadj": words("""great; excellent; brilliant; solid; superb; reliable; fantastic; impressive; wonderful; flawless;
        honest; helpful; amazing; perfect; !splendid; ~outstanding"""),
    "badj": words("""terrible; awful; broken; useless; shady; dreadful; unreliable; disgraceful; rotten; pathetic;
        dishonest; horrible; worthless; hopeless; !lousy; ~abysmal"""),
    "nadj": words("""average; unchanged; normal; standard; ordinary; typical; the usual; as expected; so-so;
        neither good nor bad; much the same; ~middling"""),
    "gfeel": words("""thrilled; delighted; happy; grateful; proud; relieved; excited; impressed; pleased; confident;
        !overjoyed; ~glad"""),
    "bfeel": words("""furious; angry; disappointed; gutted; fed up; worried; heartbroken; disgusted; upset; ashamed;
        !appalled; ~frustrated"""),
    "nfeel": words("undecided; neutral; just curious; not sure either way; still reading; waiting for data; new here; ~only watching"),
    "gend": words("""well done; love it; keep it up; hats off to the team; best decision this year; no complaints;
        highly recommended; would use it again; thank you devs; worth every cent; not a scam after all; could not be happier;
        what a team; full trust from me; nothing to worry about; !chapeau; ~zero regrets; ~this made my day"""),
    "bend": words("""never again; avoid; what a joke; total waste of money; I want out; stay away; not worth it;
        shame on the team; worst decision this year; would not recommend; I am done; no trust left; lesson learned the hard way;
        nobody cares about users; do not bother; !good riddance; ~nothing but regrets; ~this ruined my week"""),
    "nend": words("""just noting it; no opinion yet; for the record; details in the thread; correct me if I am off;
        more when I know; that is all; same as last month; numbers are from the site; no view either way; make of it what you will;
        sharing for reference; the rest is in the notes; ~simply passing it on"""),
    "smile": words(":); :D; =); <3; \\o/; :-)"),
    "frown": words(":(; :'(; >:(; :/; -_-; :-("),
}

PRODUCT = {
    "good": words("""the bridge works again; withdrawals are instant now; the new wallet is so smooth; fees dropped to almost nothing;
        support fixed it in ten minutes; the update finally shipped; staking rewards arrived early; the app has not crashed once;
        my refund came the same day; syncing is twice as fast; setup took two easy minutes; nothing broke during the upgrade;
        the swap went through at once; the docs are clear and complete; the ledger plug-in just works; my lost funds were recovered;
        the mobile app feels quick; two-factor login works like a charm; the devs fixed the bug overnight; the explorer loads instantly;
        the testnet runs without a hitch; the beta is stable; no transaction has failed so far; the recovery phrase worked perfectly;
        the search box is fast; !the faucet is generous; ~the dashboard is a joy to use; ~the node runs perfectly; ~claims are paid instantly"""),
    "bad": words("""the bridge is stuck again; withdrawals are frozen; the new wallet keeps crashing; fees ate half my transfer;
        support never answers; the update broke everything; staking rewards are missing; the app lost my balance;
        nobody will refund me; syncing fails every night; setup was a nightmare; my funds vanished after the upgrade;
        the swap failed and kept the fee; the docs are wrong and useless; the ledger plug-in is broken; my tokens are gone;
        the mobile app is painfully slow; two-factor login locked me out; the devs ignore the bug; the explorer is always down;
        the testnet crashes every hour; the beta is unusable; every second transaction fails; the recovery phrase did not work;
        the search box is broken; !the faucet is empty; ~the dashboard is a mess; ~the node keeps crashing; ~claims are never paid"""),
    "fact": words("""the bridge supports two chains; withdrawals open at noon UTC; the new wallet has a dark mode; fees are set by the network;
        support is open on weekdays; the update is planned for June; staking rewards are paid weekly; the app is on version four;
        refunds take five days; syncing starts at block one; setup has three steps; the upgrade is scheduled for Tuesday;
        the swap uses a fixed rate; the docs moved to a new page; the ledger plug-in is optional; tokens are sent to the same address;
        the mobile app has a settings page; two-factor login is in the menu; the bug is listed in the tracker; the explorer shows block times;
        the testnet restarts on Friday; the beta ends in May; transactions are listed by date; the recovery phrase has twelve words;
        the search box is at the top; !the faucet needs an address; ~the dashboard has two tabs; ~the node uses port 9000; ~claims are listed by date"""),
    "goodn": words("""instant withdrawals; a smooth upgrade; fast support; tiny fees; a clean interface; a stable release; a quick refund;
        a working bridge; ~a painless setup"""),
    "badn": words("""frozen withdrawals; a botched upgrade; silent support; insane fees; a confusing interface; a broken release; a refused refund;
        a stuck bridge; ~a painful setup"""),
    "factn": words("""the withdrawal page; the upgrade schedule; the support hours; the fee table; the settings menu; the release notes;
        the refund form; the bridge address; ~the setup steps"""),
}

MARKET = {
    "good": words("""{tick} is mooning; {tick} broke out at last; my bags are green; buyers ate the dip; we are up {pct}; {tick} hit a new high;
        my longs are printing; volume is exploding; the bulls are back; {tick} doubled overnight; i took a fat profit; whales are buying;
        {tick} bounced like a champ; the chart looks beautiful; easy gains all week; the shorts got squeezed; my stack keeps growing;
        {tick} pumped again; the bottom is in; the rally is on; my entry was perfect; {tick} is flying; i am up {pct} on this trade;
        !{tick} sent it; ~{tick} is soaring; ~my portfolio is glowing green; ~huge gains again"""),
    "bad": words("""{tick} is dumping; {tick} got rejected again; my bags are deep red; the dip keeps dipping; we are down {pct}; {tick} hit a new low;
        my longs got liquidated; volume is dead; the bears ate us; {tick} halved overnight; i took a huge loss; whales are dumping on us;
        {tick} fell like a stone; the chart looks horrible; nothing but losses all week; i got rekt on leverage; my stack keeps shrinking;
        {tick} crashed again; there is no bottom; the rally is dead; my entry was awful; {tick} is bleeding; i am down {pct} on this trade;
        !{tick} got nuked; ~{tick} is tanking; ~my portfolio is bleeding red; ~huge losses again"""),
    "fact": words("""{tick} is flat; {tick} is trading at {price}; {tick} moved sideways; volume is average; the price is the same as before;
        funding is near zero; the range has not changed; the weekly candle closes tonight; open interest is unchanged;
        {tick} sits between two lines; the order book is even; {tick} opened at {price}; futures expire on Friday; the spread is two cents;
        the index has ten coins; {tick} is listed in two pairs; the session ends at noon; the average is {price}; {tick} closed where it opened;
        the fee tier is the same; !{tick} ranks in the middle; ~{tick} is stuck to {price}; ~the chart shows a flat line; ~volume is the usual"""),
    "goodn": words("big gains; fat profits; a beautiful chart; a clean breakout; a green week; a monster pump; a perfect entry; ~a lovely rally"),
    "badn": words("big losses; another dump; an ugly chart; a fake breakout; a red week; a brutal crash; an awful entry; ~a nasty selloff"),
    "factn": words("the weekly close; the funding rate; the order book; the daily range; the spread; the volume table; the index list; ~the closing price"),
}

NEWS = {
    "good": words("""{coin} passes its security audit; {coin} wins a licence in {place}; {coin} beats its own targets; {coin} repays all users;
        {coin} posts record growth; {coin} signs a major partner; {coin} ships upgrade ahead of time; {coin} saves user funds from attack;
        {coin} cuts fees by half; {coin} earns praise from researchers; {coin} doubles its users; {coin} wins best wallet award;
        {coin} recovers stolen {sum}; {coin} lands listing on top exchange; {coin} celebrates a year without a fault; {coin} rewards loyal holders;
        court clears {coin} of all claims; big bank adopts {coin}; developers flock to {coin}; {coin} raises {sum} for growth;
        !{coin} smashes speed record; ~{coin} triumphs in {place}; ~{coin} sees record demand; ~investors praise {coin}"""),
    "bad": words("""{coin} fails its security audit; {coin} loses its licence in {place}; {coin} misses its own targets; {coin} refuses to repay users;
        {coin} posts record loss; {coin} loses a major partner; {coin} delays upgrade yet again; {coin} loses user funds in attack;
        {coin} doubles its fees; {coin} blamed for lost savings; {coin} loses half its users; {coin} named worst wallet;
        hackers steal {sum} from {coin}; {coin} delisted from top exchange; {coin} hit by third outage; {coin} abandons loyal holders;
        court fines {coin} {sum}; big bank drops {coin}; developers flee {coin}; {coin} files for bankruptcy;
        !{coin} chain halts in chaos; ~{coin} collapses in {place}; ~{coin} sees record outflows; ~investors sue {coin}"""),
    "fact": words("""{coin} sets date for token vote; {coin} opens an office in {place}; {coin} publishes its quarterly report; {coin} moves to a new domain;
        {coin} names a new treasurer; {coin} to speak at {place} meeting; {coin} schedules upgrade for spring; {coin} changes its logo;
        {coin} keeps fees unchanged; {coin} paper enters review; {coin} counts {sum} wallets; {coin} lists its validators;
        {coin} holds {sum} in reserve; {coin} to trade under new ticker; {coin} marks third year; {coin} updates its terms;
        court sets date for {coin} hearing; bank to study {coin}; developers to meet about {coin}; {coin} completes token split;
        !{coin} renames its testnet; ~{coin} meets in {place}; ~{coin} reports steady demand; ~analysts await {coin} figures"""),
    "goodn": words("a record quarter; a clean audit; a landmark licence; strong growth; a full recovery; a successful launch; ~a stunning comeback"),
    "badn": words("a record loss; a damning audit; a licence ban; a massive hack; a total collapse; a failed launch; ~a humiliating retreat"),
    "factn": words("the quarterly report; the audit date; the licence hearing; the user count; the review process; the launch calendar; ~the planned merger"),
}

COUNCIL = {
    "good": words("""the team publishes every budget openly; the treasury grew under careful hands; the founders answered every hard question;
        the roadmap was delivered on time; the vote was open and fair; the community feels welcoming and alive; the grants went to useful work;
        the council listens to small holders; the token design rewards honest people; the reports are frank and clear;
        the moderators are patient and kind; the code reviews are thorough; the mentors helped every newcomer; the charity drive was a success;
        the promises were kept; the leadership earned my trust; the workshop taught me so much; the partners delivered real value;
        the new proposal is thoughtful; the rules protect users well; !the elders lead by example; ~the stewards spend wisely;
        ~the forum is friendly and helpful; ~the project keeps its word"""),
    "bad": words("""the team hides every budget; the treasury was drained by insiders; the founders dodge every hard question;
        the roadmap slipped for the fourth time; the vote was bought by whales; the community feels toxic and dead; the grants went to friends;
        the council ignores small holders; the token design robs honest people; the reports are late and misleading;
        the moderators ban every critic; the code reviews are a joke; the mentors abandoned every newcomer; the charity drive was a fraud;
        the promises were broken; the leadership lost my trust; the workshop wasted my time; the partners delivered nothing;
        the new proposal is reckless; the rules fail to protect users; !the elders lie to us; ~the stewards waste money;
        ~the forum is hostile and useless; ~the project breaks its word"""),
    "fact": words("""the team publishes a budget each quarter; the treasury holds three assets; the founders will speak on Sunday;
        the roadmap has four phases; the vote closes on Thursday; the community has two channels; the grants are listed by size;
        the council has nine seats; the token supply is fixed; the reports come out each month;
        the moderators work in shifts; the code reviews take a week; the mentors are listed on the page; the charity drive starts in May;
        the proposal has two options; the leadership election is in autumn; the workshop lasts an hour; the partners are named in the appendix;
        the new proposal is in draft; the rules are on page two; !the elders meet monthly; ~the stewards change every year;
        ~the forum has five sections; ~the project is in its third year"""),
    "goodn": words("careful spending; honest leadership; a fair vote; clear reports; kept promises; a welcoming community; ~wise stewardship"),
    "badn": words("reckless spending; dishonest leadership; a rigged vote; misleading reports; broken promises; a toxic community; ~blatant favouritism"),
    "factn": words("the spending table; the council seats; the voting window; the monthly report; the proposal text; the meeting notes; ~the member list"),
}

DOMAINS = {"product": PRODUCT, "market": MARKET, "news": NEWS, "council": COUNCIL}
