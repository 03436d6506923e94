"""What the matching of words knows of Finnish, Swedish and English: word forms, empty words, and saying no.

The stems are Snowball's (BSD). What Snowball leaves apart, and clients' texts need, is mended by short rules here:
Finnish participles and consonant gradation, irregular forms, words derived from a verb (hitsata, hitsaus, hitsaaja).
A lemma dictionary of the three languages would know more, and takes some 450 MB of memory.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

LANGUAGES = ("fi", "sv", "en")

WORD = re.compile(r"[\w\u0300-\u036f]+(?:[-'’][\w\u0300-\u036f]+)*[+#]*")
"""A word, with the marks that decomposed letters carry; the sign after C++ and C# belongs to the name."""

SHORTEST_ROOT = 4


@dataclass(frozen=True, slots=True)
class Rules:
    """What is particular to one language.

    Attributes:
        stop: Words that say nothing of a skill.
        weak: Stems that many names share; they count little, and a compound that ends in one counts by the rest.
        no: Words that deny what stands in their clause.
        without: Words that deny what follows them.
        only: Words that turn a denial round: not only, ei pelkästään.
        but: Words after which a denial no longer holds.
        joins: Words that join parts of a clause.
        either: Words that carry a denial through a list: tai, eller, or.
        affirms: Words that begin a statement of its own.
        also: Words that turn "without" into "but also": utan också.
        irregular: Form → dictionary form, both in lower case; with "=" before it where it is no other word's stem.
        derived: What words that are derived from a verb end in, after Snowball's stem.
    """

    stop: frozenset[str]
    weak: frozenset[str]
    no: frozenset[str]
    without: frozenset[str]
    only: frozenset[str]
    but: frozenset[str]
    joins: frozenset[str]
    either: frozenset[str]
    affirms: frozenset[str]
    also: frozenset[str]
    irregular: dict[str, str]
    derived: re.Pattern[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _forms(text: str) -> dict[str, str]:
    return {form: line.split(":")[0].strip() for line in text.split(";") for form in line.split(":")[1].split()}


RULES = {
    "fi": Rules(
        stop=_words(
            "minä mä sinä hän se me te he ne tämä tuo nämä nuo minun mun minulla mulla minulle minut "
            "mut sen sitä siitä on olen oon olin ollut olla ovat oli olemme olisi osaan osaa osaat "
            "osaamme osannut haluan haluaisin halua voin voi voisin pystyn pidän pidin tykkään myös "
            "vielä nyt sitten kun koska että jotta jos niin kuin kanssa hyvin paljon vähän melko aika "
            "todella erittäin joskus usein aina monta monen vuotta vuoden vuosi vuosia kuukautta "
            "päivää lisäksi noin yli ja sekä tai eli mutta vaan sekä myös jo kaikki kaikkea muun "
            "muita muuta esimerkiksi ensin kolme kaksi neljä viisi kymmenen itse oman omat omaa "
            "jotain jonkin jossa jonka joka jotka mitä mikä missä siellä täällä kotona kokemusta "
            "kokemus parhaillaan aikaisemmin aiemmin ennen pitkään tulen tulin tulla menen käyn kävin "
            "hieman jotenkin työskennellyt työskentelin työskentelen toiminut toimin toimin tehnyt "
            "tein teen tehdä teki"
        ),
        weak=_words(
            "työ taido taito osaamin tekniik menetelm ala hom käyt käyttä suorit teht toimi noudat "
            "varmist"
        ),
        no=_words("en et ei emme ette eivät enkä etkä eikä emmekä ettekä eivätkä älä"),
        without=_words("ilman vailla"),
        only=_words("vain pelkästään ainoastaan"),
        but=_words("mutta vaan vaikka kuitenkin sijaan"),
        joins=_words("ja sekä ynnä"),
        either=_words("tai eikä enkä"),
        affirms=_words(
            "olen oon olin osaan voin teen tein pystyn haluan haluaisin pidän tykkään työskentelen "
            "työskentelin"
        ),
        also=_words("myös"),
        irregular=_forms(
            "lapsi: lapset lapsia lasten lapsille lapsien lapsen lapsilla lapsista; työ: töitä töissä "
            "töiden töihin töistä työt; tehdä: tehnyt teen teki tein tehneet; nähdä: nähnyt näen; "
            "vanhus: vanhusten; kieli: kieltä kielen kieliä kielet; ihminen: ihmisiä ihmisten; mies: "
            "miehiä; myydä: myynyt myyn myin; viedä: vienyt vien; lypsää: lypsän lypsin; ajaa: ajoin "
            "ajan ajoi; auttaa: autoin autan autoimme; =python: python pythonia pythonilla; hoitaa: "
            "hoidan hoidin hoidimme; keittää: keitin; ruoka: ruoan ruuan ruokia ruokaa ruoat ruuat"
        ),
        derived=re.compile(r"(?:(?<=[aeiouyäö])[uy]s|(?<=[aeioäö])s|mis|min|(?<=[aeiouyäö])j|(?<=oi)nt|(?<=oi)d)$"),
    ),
    "sv": Rules(
        stop=_words(
            "jag du han hon den det vi ni de en ett och att i på av för med till från om som är var "
            "varit vara har hade haft kan kunde kunnat vill skulle ska också även mycket lite lita "
            "bra år månader dagar mitt min mina mig där här när då så men eller flera många några "
            "något sedan hos över under vid efter innan alltid ofta ibland tycker gillar erfarenhet "
            "jobbat jobbar jobbade arbetat arbetar arbetade tidigare olika samt dessutom tre två fyra "
            "fem tio själv egen eget egna"
        ),
        weak=_words("arbet jobb kunskap färd teknik metod gör använd hanter utför"),
        no=_words("inte ej aldrig ingen inga inget icke knappast varken"),
        without=_words("utan"),
        only=_words("bara endast enbart"),
        but=_words("men fast däremot dock"),
        joins=_words("och samt"),
        either=_words("eller"),
        affirms=_words("jag har kan"),
        also=_words("också även dessutom"),
        irregular=_forms(
            "ta: tagit tog tar; läsa: läst läste läser; köra: kört körde kör; sälja: sålt sålde "
            "säljer; sköta: skött skötte sköter; göra: gjort gjorde gör; barn: barnen barnet barns; "
            "ko: kor korna; skriva: skrev skrivit; laga: lagat lagade; bygga: byggt; sitta: suttit "
            "satt sitter; =lager: lager lagret lagers; =lag: lag laget lagen; mjölka: mjölkat "
            "mjölkade"
        ),
        derived=re.compile(r"(?:ning|ningen|and|ar|else|nings)$"),
    ),
    "en": Rules(
        stop=_words(
            "i me my mine you he she it we they the a an and or of in on at to for from by with about "
            "as is am are was were be been being have has had do does did done can could will would "
            "should may also very much many some any more most this that these those there here when "
            "where who which while than then so but if because years year months days well good "
            "really often always sometimes experience like love want worked working work works job "
            "jobs used using use other others own different both all too etc ago since since"
        ),
        weak=_words("skill techniqu method perform manag use make handl oper maintain"),
        no=_words(
            "not never no cannot can't don't doesn't didn't haven't hasn't hadn't isn't wasn't aren't "
            "weren't won't"
                  "couldn't wouldn't neither nor hardly cant dont didnt havent none"),
        without=_words("without"),
        only=_words("only just merely"),
        but=_words("but however although though yet"),
        joins=_words("and"),
        either=_words("or nor"),
        affirms=_words("i i've i'm i'd have can am"),
        also=_words("also"),
        irregular=_forms(
            "drive: drove driven; teach: taught; child: children; build: built; sell: sold; take: "
            "took taken; make: made; write: wrote written; lead: led; feed: fed; keep: kept; give: "
            "gave given; milk: milked; sew: sewn; grow: grew grown; speak: spoke spoken"
        ),
        derived=re.compile(r"(?:er|ing)$"),
    ),
}  # fmt: skip

_STEMMERS = {
    language: snowballstemmer.stemmer(name)
    for language, name in (("fi", "finnish"), ("sv", "swedish"), ("en", "english"))
}

# Finnish participles and the infinitives that they come from: hitsannut ← hitsata, opiskellut ← opiskella,
# pessyt ← pestä, ohjelmoinut ← ohjelmoida, hoitanut ← hoitaa.
_PARTICIPLES = (
    (re.compile(r"(?<=.{2})nn(?:ut|yt|eet)$"), "ta"),
    (re.compile(r"(?<=.{2})ll(?:ut|yt|eet)$"), "lla"),
    (re.compile(r"(?<=.{2})ss(?:ut|yt|eet)$"), "sta"),
    (re.compile(r"(?<=.[aeiouyäö]i)n(?:ut|yt|eet)$"), "da"),
    (re.compile(r"(?<=.{2}[aeiouyäö])n(?:ut|yt|eet)$"), "a"),
)
_WORK = re.compile(r"(?<=.{3})(?:töitä|töissä|töiden|töihin|töistä|työtä|työssä|työn|työhön|työstä|työt)$")
_PARTITIVE = re.compile(r"(?<=.{2})([uy]s)t[aä]$")
_USES = re.compile(r"(?<=.{2})([uy])(?:ks|kse|ksi|st)$")

# Consonant gradation at the end of a root: the weak and the strong grade become one.
_GRADES = (
    ("kk", "k"), ("pp", "p"), ("tt", "t"), ("nn", "n"), ("nt", "n"), ("ll", "l"), ("lt", "l"), ("rr", "r"),
    ("rt", "r"), ("mm", "m"), ("mp", "m"), ("ng", "n"), ("nk", "n"), ("ns", "n"), ("d", "t"),
)  # fmt: skip
_VOWELS = "aeiouyäöå"


def normal(word: str) -> str:
    """A word as it is compared: composed, in lower case, with one kind of apostrophe."""
    return unicodedata.normalize("NFC", word).lower().replace("’", "'")


@lru_cache(maxsize=60_000)
def stem(word: str, language: str) -> str:
    """What the forms of one word have in common.

    Args:
        word: One word, as `normal` gives it.
        language: fi, sv or en.
    """
    word = RULES[language].irregular.get(word, word)
    if word.startswith("="):
        return word
    if language == "fi":
        word = _PARTITIVE.sub(r"\1", _infinitive(_WORK.sub("työ", word)))
    found: str = _STEMMERS[language].stemWord(word)
    return _USES.sub(r"\1s", found) if language == "fi" else found


@lru_cache(maxsize=60_000)
def root(word: str, language: str) -> str | None:
    """What a verb and the words derived from it have in common; None where so little is left that it says nothing."""
    found = RULES[language].derived.sub("", stem(word, language))
    if language == "fi":
        found = _strong(found)
    return found if len(found) >= SHORTEST_ROOT else None


def _infinitive(word: str) -> str:
    for form, ending in _PARTICIPLES:
        changed, count = form.subn(ending, word)
        if count:
            return changed
    return word


def _strong(found: str) -> str:
    bare = found.rstrip(_VOWELS)
    for grade, one in _GRADES:
        if bare.endswith(grade):
            return (bare[: -len(grade)] + one).rstrip(_VOWELS)
    return bare
