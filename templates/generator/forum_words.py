"""Lexicons of forum talk: ordinary matters of four forums, and what spam, scams and abuse say.

The harsh words are insults only: no slurs, nothing graphic. Web addresses end in `.example`, which
nobody owns.
"""

from .grammar import words

COMMON = {
    "name": words("Alex; Sam; Mira; Jonas; Priya; Leo; Nadia; Tom; Ines; Omar; Greta; Yuki; Paul; Dana; !Felix; ~Ruth"),
    "when": words("today; yesterday; this week; this morning; last night; on Monday; on Sunday; last month; ~two days ago"),
    "amt": words("20 dollars; 50 dollars; 99 dollars; 200 dollars; 500 dollars; 900 dollars; 0.5 ETH; 2 ETH; 1 BTC; ~700 dollars"),
    "hour": words("ten minutes; one hour; 24 hours; two days; 48 hours; midnight; ~three hours"),
    "pct": words("20%; 40%; 50%; 60%; 70%; 80%; 90%; ~75%"),
    "site": words("""best-deals.example; cheap-store.example; mega-shop.example; top-offers.example; lucky-spins.example;
        fast-growth.example; super-sale.example; bargain-hub.example; !flash-mart.example; ~value-zone.example"""),
    "trap": words("""wallet-verify.example; claim-reward.example; secure-login.example; free-airdrop.example; account-unlock.example;
        double-coins.example; support-desk.example; prize-center.example; !token-gift.example; ~key-restore.example"""),
    # What spam sells and how it calls.
    "ware": words("""cheap sunglasses; designer watches; brand sneakers; weight loss tea; casino bonuses; betting tips; followers and likes;
        phone cases; crypto signals; miracle cream; discount handbags; essay writing; replica jackets; LED lamps; vitamin pills; web traffic;
        !printer ink; ~slot machine bonuses; ~teeth whitening kits"""),
    "deal": words("""{pct} off everything; buy one get one free; lowest prices online; free shipping worldwide; a huge clearance sale;
        a bonus on every order; special offer for new customers; limited stock; best price guaranteed; new deals every day;
        wholesale prices; an extra discount for members; !a coupon for everyone; ~an unbeatable offer; ~today only discounts"""),
    "push": words("""click the link in my bio; order now at {site}; visit {site}; subscribe to my channel; join my VIP group; use code SAVE20;
        shop now; follow me for more; do not miss out; check out my store; share this with ten friends; message me for a catalogue;
        like and share; sign up for our newsletter; !smash the subscribe button; ~grab yours at {site}; ~follow my page"""),
    # What a con says: a lure, a lie about who asks, and what it wants.
    "bait": words("""you won {amt}; your account is locked; your wallet won a reward; your payment is on hold;
        you are owed {amt}; your deposit will double; we found your lost coins; your prize is waiting; your wallet must be verified;
        unusual activity was detected; your {amt} inheritance is ready; you qualify for a secret airdrop; your tokens expire tonight;
        the frozen {amt} are yours; !a tax refund is due; ~your profile was flagged; ~you are our lucky winner"""),
    "guise": words("""the official support team; the security department; the wallet admin; the prize office; a bank agent; the founder in person;
        a recovery expert; the account manager; the compliance office; a verified trader; the giveaway team; ~the verification unit"""),
    "demand": words("""send me your seed phrase; enter your private key at {trap}; pay the {amt} release fee; send {amt} and get double;
        confirm your password at {trap}; read me the phone code; connect your wallet at {trap}; reply with your card number;
        deposit {amt} to unlock it; tell me your recovery words; log in at {trap}; pay me in gift cards;
        transfer {amt} to this address; scan and approve everything; !mail me your passport photo; ~type your twelve words at {trap};
        ~wire a {amt} deposit"""),
    "promise": words("""profit is guaranteed; there is no risk at all; you get it back doubled; I return ten times your money; it is 100% safe;
        everybody gets paid at once; my clients earn {amt} daily; your money grows while you sleep; returns are certain;
        the system never loses; !the bank backs it; ~payouts are instant and sure"""),
    # What abuse says.
    "insult": words("""idiot; clown; loser; fool; moron; coward; liar; parasite; failure; worm; crybaby; rat; pest; imbecile; !buffoon; ~nitwit; ~weasel"""),
    "insulting": words("""stupid; pathetic; worthless; disgusting; useless; brainless; miserable; ridiculous; spineless; clueless; dumb;
        !vile; ~gutless"""),
    "jab": words("""nobody wants you here; shut your mouth; you ruin everything you touch; get lost; even your friends despise you; you make me sick;
        you are too dumb to read; crawl back into your hole; your opinion is garbage; everyone laughs behind your back; you will never be anything;
        you are a waste of space; nobody will ever miss you; I hope you fail; delete your account and vanish; you deserve every misery;
        you disgust us all; !go cry to someone else; ~you stink up every thread; ~nobody can stand you"""),
    # What ordinary people say to each other.
    "thanks": words("""thanks in advance; thank you all; cheers; much appreciated; have a nice day; any hint is welcome; thanks for reading;
        good luck everyone; see you around; hope this helps; glad to be here; !kind regards; ~many thanks"""),
    "calm": words("""I see your point; take your time; no hurry; let us stay on topic; it is only my view; that makes sense;
        please be patient; I may be wrong; good question; we all started somewhere; ~fair enough"""),
}

HELP = {
    "thing": words("""the wallet app; the login page; the backup file; the sync button; the settings menu; the update; the password reset;
        the search field; the fee table; the recovery sheet; the browser plug-in; the node; !the manual; ~the export tool; ~the ledger"""),
    "matter": words("""the app shows an old balance; the update takes an hour; the page loads slowly; I cannot find the menu;
        the backup asks for a folder; the plug-in needs a restart; the login works only on my laptop; the transfer is still pending;
        the fee looks higher than before; the sync stops at half; the error says code 14; my password was refused twice;
        the new version has a bug; !the font is too small; ~the export gives an empty file; ~the clock is off by an hour"""),
    "tip": words("""restart the app; clear the cache; check the clock; update to the latest version; write the backup on paper; read the manual first;
        wait for six confirmations; report scammers to the moderators; never share your seed phrase; use a new password;
        keep the private key offline; ~compare the address twice"""),
    "praise": words("the help was quick; the guide is clear; it works now; problem solved; the fix worked; the login is fine again; no error any more; my balance is right again; it runs smoothly; ~all good again"),
}

GARDEN = {
    "thing": words("""tomatoes; roses; a lemon tree; basil; a compost heap; beans; lavender; a small pond; an old bicycle; sourdough bread;
        strawberries; a wooden bench; !pumpkins; ~raspberries; ~a bird house"""),
    "matter": words("""the leaves turn yellow; the soil is too dry; snails eat my salad; the seeds did not come up; the chain squeaks;
        the dough does not rise; the roses have spots; the pond is green; the frost came early; the harvest was good this year;
        the bees are back; the cake was too sweet; the shed needs paint; !the hose leaks; ~the pears are ripe; ~ants live in the pot"""),
    "tip": words("""water in the evening; add some compost; cut the branches in winter; oil the chain; let the dough rest overnight; plant garlic nearby;
        use rain water; turn the pots weekly; cover them with straw; ask at the market; wait until May; ~feed the birds"""),
    "praise": words("the soup tasted lovely; the garden looks great; my kids loved it; it grew so tall; what a pretty photo; the bread smelled so good; it was a fine harvest; the colours are wonderful; we ate it all; ~the jam turned out well"),
}

GAMES = {
    "thing": words("""the dragon quest; the new map; ranked mode; the crafting table; the winter event; our guild; the boss fight; the ice level;
        the archer class; the trading post; the story mode; the next patch; !the arena; ~the castle siege; ~the fishing game"""),
    "matter": words("""the boss has too much health; the server was full; my archer needs better boots; the patch notes are out;
        we lost by one point; the map is huge; the sound drops in the cave; I got stuck at the bridge; the guild meets at eight;
        our healer left early; the quest gives no marker; the event ends on Sunday; my controller lags; !the ladder was reset;
        ~the dungeon has a hidden door; ~the sniper was too strong"""),
    "tip": words("""block first and then strike; save your potions; stay behind the tank; use the left path; bring a fire sword; sell the extra gems;
        learn the pattern; turn the volume up; respawn at the camp; vote for the next map; mute the trolls; ~keep your shield up"""),
    "praise": words("that was a great match; good game everyone; the music is lovely; well played; nice build; our team was on fire; it was close and fair; the new art is pretty; we had so much fun; ~what a comeback"),
}

BOARD = {
    "thing": words("""a used laptop; a garden table; a bike for kids; a sofa; old records; a desk lamp; concert tickets; a winter coat; a camera;
        a room near the station; piano lessons; moving boxes; !a tent; ~a bookshelf; ~a sewing machine"""),
    "matter": words("""it has a small scratch; pick up is in town; the price is {amt}; I can meet at the library; the box is missing;
        it was used for one year; the receipt is there; cash on pick up please; the size is medium; our home is without smoke;
        I would swap it for books; the battery is new; !two keys are included; ~the colour is dark green; ~one leg is loose"""),
    "tip": words("""meet in a public place; ask for the receipt; test it before you pay; bring a friend to carry it; look at the photos first;
        never pay before you see it; warn others about fake sellers; measure the door; call after six; be on time; ~count the parts"""),
    "praise": words("a pleasure to deal with; friendly seller; fair price; quick answer; all as described; it works as promised; we are happy with it; the pick up was easy; very clean and well kept; ~smooth pick up"),
}

DOMAINS = {"help": HELP, "garden": GARDEN, "games": GAMES, "board": BOARD}
