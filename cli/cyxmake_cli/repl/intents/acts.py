"""Lines to their parts, each with what is done by saying it: asking, ordering, forbidding, stating.

Knows no command. Whatever might be a question is one; what states something orders nothing; and a
condition or a time that nobody can wait for is kept, so that it stands in the way of an order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Final

from cyxmake_cli.repl.intents.text import data, words
from cyxmake_cli.repl.intents.verbs import begins, forbids, states, verb_of_form, verbs


class Speech(Enum):
    """What is done by saying something."""

    ORDER = "order"
    """Something is to be done, or shown; also a noun alone, as in "release build"."""
    QUESTION = "question"
    FORBID = "forbid"
    STATE = "state"
    GREET = "greet"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a line; `asked` tells that the order in it was put as "could you ...?"."""

    speech: Speech
    text: str
    asked: bool = False
    starts: bool = True
    """Whether an order begins here; if not, it says more about the one before, or after."""
    wished: bool = False


_ENDS: Final = re.compile(r"\s*(?:[.!;]+(?=\s|$)|(?<=\?)\s+|\?+(?=\s|$)|\s[-–—]+\s|:\s|[()])\s*")
_JOINTS: Final = re.compile(
    r",? and then |,? (?:and )?(?:then|afterwards|after that|after this|thereafter|finally|lastly|next|subsequently|followed by|(?:and |at |in )(?:the )?(?:very )?(?:end|last)|to finish|to round (?:it )?off|once (?:that is |this is |it is )?done|when (?:that is |this is |it is )?done)(?:,| )\s*|, (?:and |but )?|,?(?<!nothing) but (?!not )|,? so (?={verb})|,? and (?={verb})"
    r"| (?=(?:because|since (?:i|we|it|my|the|our|this)|although|even though|though|whereas|otherwise|so that|as (?:i|we|it is|my|our)|in order to|in case|before (?:i|we|you) |while (?:i|we|you)|so (?:i|we) (?!can (?:debug|see)\b))\b)"
    r"|(?<!check)(?<!see)(?<!verify)(?<!know)(?<!out)(?<!sure)(?<!tell)(?<!ask)(?<!test) (?=(?:only )?(?:if|unless|when|once(?! more| again)|until|till|as soon as|whenever|provided|after (?:it|that|this|the \w+) (?:is|has|was|are))\b)"
)
_WH: Final = re.compile(
    r"(?:and |so |but |or |ok |hey |hi |well |then |now |also |hello |cyxmake |by the way )*(?:(?:in |on |at |to |from |for |with |by |since )?(?:what|why|how|when|where|which|who|whose|whom)\b"
    r"|(?:is|are|was|were|does|did|has|had|am|isn't|do(?= (?:i|we|you|they|workers|agents|people|(?:builds|tests|targets)(?= \w)(?! (?:please|now|again|in|with|on|for|using|and|first|then|too|afterwards|as|also|at|here|once)\b)|not (?:i|we|you(?! dare))|(?:the|all|my|these|those) (?!tests?$|build$|whole|same|rest|dry|clean)\w+ (?!in|on|with|for|using|and|to|now|again|please)\w+)\b)|have (?:i|we|you|they)|have (?:the|all|any|my) \w+ (?:\w+ed|been|gone|passed|run|built)\b|will (?!you\b|u\b)\w+|would (?!you\b|u\b|like|love|be\b)\w+|should|shall|may|might|must (?:i|we)|can (?!you\b|u\b)\w+|could (?!you\b|u\b)\w+) "
    r"|any (?:idea|chance|reason|way|news|workers?|coordinators?|cycles|problems?)\b|is it|(?:do|would) you (?:know|think|recommend|suggest|ever|also|have|remember|keep|need|store|send|ask|support|use|delete|touch|change)\b"
    r"|(?:please )?(?:tell|show|explain|let)(?: to)? ?(?:me|us) ?(?:know )?(?:please )?(?:,? )?(?:why|how (?!many of)|when|where|whether|if)\b|(?:explain|describe|tell (?:me|us) (?:more |something )?about|teach me)\b|find out (?:which|how many|why|where|who)\b|i (?:just |only |really )*(?:wonder|would like to know|want to know|need to know|do not (?:know|understand|get))(?! that| it| if the tests)|explain (?:to me )?(?:how|why|what|when)|what about|how about)",
    re.IGNORECASE,
)  # fmt: skip
_ABLE: Final = re.compile(
    r"(?:can|could|will|would) (?:you|u) (?:also |even |really |actually |at all )*(?:(?!please)\w+ )?(?:also |really )?(?:(?:build|compile|handle|support|use|work with|do|run|make|test|understand|speak|create)"
    r" (?!(?:my|our|the|this|that|these|those|all|your|a|an|some|it) )(?:(?:[\w+#-]+ )?(?:projects?|programs?|code|languages?|builds|things|games|apps|libraries)|rust|java|go|python|c\+\+|c|windows|mac|macos|arm)\b|work |deal |cope |be used|be trusted|undo (?:that|this|it|everything) later|see|know|remember|tell (?:if|whether|which|that)|explain|recommend|help)",
    re.IGNORECASE,
)
_GET: Final = re.compile(
    r"(?:can|could|may) (?:i|we) (?:please |now |maybe )*(?:have|get)\b", re.IGNORECASE
)
_FINITE_BE: Final = re.compile(
    r"\b(?:is|are|was|were|has|had|takes?|took|fails?|failed|works?|worked)\b", re.IGNORECASE
)
_WISHING: Final = re.compile(
    r"\b(?:want|need|like|love|prefer|appreciate|please|kindly|can|could|would|(?<!never )mind|wish|sure|require|request|ask|let|must|should)\b",
    re.IGNORECASE,
)
_FEW: Final = 2
_NEXT: Final = re.compile(r"(?:and )?(?:then|afterwards|after that|finally|next)\b", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"(?:the |its |my |with )*(?P<what>port|host|prefix|label|target|type|platform|directory|folder|strategy)"
    r" (?:is|should be|must be|shall be|will be|=) (?P<value>\S+)$", re.IGNORECASE
)  # fmt: skip
_MUST: Final = re.compile(
    r"(?:it|they) (?:should|must|shall|has to|have to|needs to|need to|ought to|is to)(?: be)? (?P<rest>.+)$",
    re.IGNORECASE,
)
_DOES: Final = re.compile(
    r"(?:run|use|take|go|stop|finish|start|build|compile|work|not)\b", re.IGNORECASE
)
_MODAL: Final = re.compile(
    r"^(?P<what>.+?) (?:needs? to|has to|have to|must|should|ought to|shall|can(?=.* now$)|is to|are to) (?P<be>be |get )?(?P<rest>.+)$",
    re.IGNORECASE,
)
_WISHED: Final = re.compile(
    r"\b(?:can|could|would|will|may|might) (?:you|u|we|i|someone|somebody|anyone|cyxmake)\b", re.I
)
_TELLS: Final = re.compile(
    r"\b(?:and|but|so) (?:i|we|he|she|they) (?!(?:want|need|would|will|wish|like|can|could)\b)",
    re.IGNORECASE,
)
_RETOLD: Final = re.compile(
    r"\b(?:told|tells?|asked|asks?|wants?|wanted) (?:me|us|him|her|them|you) to\b|\b(?:am|are|is|was|were) (?:not )?going to\b|\b(?:usually|always|often|sometimes|normally|never|should|would|could|might|must|tried to|had to|have to)\b",
    re.IGNORECASE,
)
_LIKED: Final = re.compile(
    r"\b(?:would|will|want|wanted|need|needed|require|request|ask|prefer|appreciate)\b",
    re.IGNORECASE,
)
_PASSIVE: Final = re.compile(
    r"^(?:that |if )?(?P<what>(?:the|my|our|all|this|that|these|it|them|everything|they|an?)\b(?: [\w./-]+){0,5}?)"
    r" (?:is|are|was|were|be|gets?|got|to be|to get|being)(?: now| all| first| quickly)? (?P<did>(?!done|made|said|seen|had)[a-z-]+)(?P<rest> .*)?$",
    re.IGNORECASE,
)
_HAVE: Final = re.compile(
    r"\bhave (?P<who>it|this|that|them|the \S+|my \S+|all \S+) (?P<what>\w+)", re.I
)


@cache
def _greeting() -> frozenset[str]:
    return frozenset(data("language")["acts"]["greeting"].split())


@cache
def _wish() -> re.Pattern[str]:
    rows = "|".join(data("language")["acts"]["wish"])
    return re.compile(rf"^(?:(?:{rows})(?:[ ,]+|$))", re.IGNORECASE)


@cache
def _reason() -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(data('language')['acts']['reason'])})", re.IGNORECASE)


@cache
def _remark() -> re.Pattern[str]:
    rows = "|".join(data("language")["acts"]["remarks"])
    return re.compile(rf"^(?:{rows})", re.IGNORECASE)


@cache
def _polite() -> re.Pattern[str]:
    return re.compile(
        rf"^(?:and )?(?:{'|'.join(data('language')['acts']['polite_ifs'])})$", re.IGNORECASE
    )


@cache
def _met() -> re.Pattern[str]:
    """Return what begins with a condition that is met when what was said before has been done."""
    ifs = "|".join(data("language")["acts"]["after_ifs"])
    return re.compile(rf"^(?:and |but )?(?:{ifs})(?=[\s,.]|$)[ ,]*", re.IGNORECASE)


@cache
def _joints() -> re.Pattern[str]:
    every = "|".join(sorted(verbs(), key=len, reverse=True))
    some = (
        rf"(?:please |also |now |just |do not |finally |not |re-?)*(?:{every})(?:ing|ning|ping)?\b"
    )
    return re.compile(_JOINTS.pattern.replace("{verb}", some), re.IGNORECASE)


@cache
def _purpose() -> re.Pattern[str]:
    nouns = "|".join(word.replace("+", " ") for word in data("language")["acts"]["purpose"].split())
    when = r"(?: (?:tomorrow|today|tonight|next \\w+|on \\w+day|this \\w+|later))?"
    return re.compile(
        rf" for (?:(?:my|our|the|a|an|this|that|his|her|their|some) )?(?:\\w+ )?(?:{nouns}){when}$",
        re.IGNORECASE,
    )


def unwished(text: str, *, tail: bool = True) -> tuple[str, bool]:
    """Return an order without the wish, or the politeness, that it is put in, and whether it was asked."""
    asked = False
    while match := _wish().match(text):
        rest = text[match.end() :]
        if not rest.strip(" ,") or re.match(r"(?:not|never)\b", rest):
            break
        asked = asked or bool(_WISHED.search(match[0]))
        text = rest.strip(" ,")
    if not tail:
        return text, asked
    text = _purpose().sub("", text)
    text = re.sub(
        r"(?:[ ,]+(?:please|thanks?|thank you|thx|ok|now|for (?:me|us|my \w+)|if (?:you )?(?:can|could|may|please|possible)|right now|immediately|cheers|would you|will you|could you|can you|today|mate|buddy|dude|man|bro|sir|madam|friend|folks|guys|i (?:think|guess|suppose|believe|reckon)))+$",
        "",
        text,
        flags=re.I,
    )
    return _HAVE.sub(r"\g<what> \g<who>", text, count=1), asked


def parts(line: str) -> list[Part]:
    """Return the parts of a line."""
    found: list[Part] = []
    for sentence, mark in _sentences(line):
        said = _of_sentence(sentence, question=mark == "?")
        if _NEXT.match(sentence) and found and found[-1].speech is Speech.ORDER:
            found[-1] = replace(found[-1], starts=True)
            said[:1] = [replace(said[0], starts=True)]
        found += said
    return found


def _sentences(line: str) -> list[tuple[str, str]]:
    found = []
    start = 0
    for match in re.finditer(r"[.!;?]+(?=\s|$)|\s[-–—]+\s|:\s|[()]", line):
        found.append((line[start : match.start()].strip(" ,"), match[0].strip()[:1]))
        start = match.end()
    found.append((line[start:].strip(" ,"), ""))
    return [(text, mark) for text, mark in found if re.search(r"\w", text)]


def _of_sentence(sentence: str, *, question: bool) -> list[Part]:
    sentence = sentence.strip(" ,")
    if is_greeting(sentence):
        return [Part(Speech.GREET, sentence)]
    if asks(sentence) or (question and not _requests(sentence)):
        pieces = [p for p in re.split(r", ", sentence) if p]
        # "we have three machines, can all of them be workers": what stands before is context.
        while (
            len(pieces) > 1
            and len(pieces[-1].split()) > _FEW
            and not asks(pieces[0])
            and not _requests(pieces[0])
        ):
            pieces.pop(0)
        if _requests(pieces[0]) and not asks(pieces[0]) and not asks(", ".join(pieces[1:])):
            pass
        else:
            return [Part(Speech.QUESTION, ", ".join(pieces))]
    found: list[Part] = []
    if remark := _remark().match(sentence):
        found.append(Part(Speech.STATE, remark[0]))
        sentence = re.sub(r"^[ ,]*(?:(?:and|so|but)\b[ ,]*)?", "", sentence[remark.end() :])
        if not sentence:
            return found
    joint = _joints()
    stretches: list[tuple[str, str]] = []
    whole = sentence
    sentence, was_asked = unwished(sentence, tail=False)
    wish = whole[: len(whole) - len(sentence)]
    was_wished = bool(_WISHING.search(wish))
    if _LIKED.search(wish):
        sentence = _active(sentence)
    start = 0
    for match in joint.finditer(sentence):
        stretches.append((sentence[start : match.start()], match[0].strip().lower()))
        start = match.end()
    stretches.append((sentence[start:], ""))
    before = ""
    for text, after in stretches:
        if text.strip(" ,"):
            ordered = " ".join(p.text for p in found if p.speech is Speech.ORDER)
            first = was_wished and not found
            part = _part(text.strip(" ,"), before.strip(" ,"), ordered=ordered, wished=first)
            # "a release build and then ...": what stands before is something of its own.
            apart = part.speech is Speech.ORDER and re.match(
                r"and|then|after|next|follow", after.strip(" ,")
            )
            if found and _goes_on(found[-1], part, before):
                part = replace(part, speech=found[-1].speech)
            found.append(replace(part, starts=True) if apart else part)
        before = after
    if was_asked and found:
        found[0] = replace(found[0], asked=True)
    return found


def _goes_on(before: Part, part: Part, joint: str) -> bool:
    """Tell whether an order only goes on with what was told or forbidden: "he told me to clean and build"."""
    if part.speech is not Speech.ORDER or not re.fullmatch(r"and(?: then)?|then", joint):
        return False
    if re.match(r"(?:please|just|only|instead|rather|now)\b", part.text, re.IGNORECASE):
        return False
    told = before.speech is Speech.STATE and _RETOLD.search(before.text) is not None
    return told or (before.speech is Speech.FORBID and joint == "and")


def _active(text: str) -> str:
    """Return what is wished to be done as an order: "the tests are run" as "run the tests"."""
    match = _PASSIVE.match(text)
    verb = verb_of_form(match["did"]) if match else None
    if match is None or verb is None or re.search(r"\b(?:not|never|nobody)\b", match[0], re.I):
        return text
    return f"{verb} {match['what']}{match['rest'] or ''}"


def _requests(text: str) -> bool:
    """Tell whether what ends with a question mark is a request all the same: "could you ...?"."""
    if _ABLE.match(greetingless(text)):
        return False
    return any(
        re.match(
            r"(?:can|could|would|will) (?:you|u|someone|somebody|anyone|anybody)\b|(?:can|could|may) (?:i|we) (?:please |now |maybe )?(?:have|get)\b|please\b|would you mind|i (?:was|am) wondering if you",
            greetingless(p),
            re.I,
        )
        for p in re.split(r", ", text)
    )


def greetingless(text: str) -> str:
    """Return a text without greetings and joints at its beginning."""
    while match := re.match(
        r"(?:hello there|hi there|hey there|hello|hi|hey|ok|good (?:morning|evening|day|afternoon)|and|so|but|then|now|also|well|cyxmake|please|alright|great|cool|nice|thanks|yes)[ ,]+",
        text,
        re.I,
    ):
        text = text[match.end() :]
    return text


def asks(text: str) -> bool:
    """Tell whether a text is put as a question."""
    text = greetingless(text)
    if _ABLE.match(text):
        return True
    return bool(_WH.match(text)) and not _GET.match(text)


def is_greeting(text: str) -> bool:
    """Tell whether a text holds nothing but a greeting, thanks or applause."""
    found = [word.low for word in words(text)]
    if "help" in found and not {"thanks", "thank", "great", "appreciate", "you"} & set(found):
        return False
    return bool(found) and all(word in _greeting() for word in found)


def _part(text: str, before: str, *, ordered: str, wished: bool) -> Part:
    if is_greeting(text) or re.match(r"(?:many )?thank(?:s| you)\b", text, re.I):
        return Part(Speech.GREET, text)
    if _polite().match(text):
        return Part(Speech.STATE, text)
    met = _met().match(text) if ordered else None
    if met and _waits(met[0], text[met.end() :], ordered):
        return Part(Speech.CONDITION, text)
    if met:
        text, before = text[met.end() :], "then"
        if not text:
            return Part(Speech.STATE, met[0])
    if re.match(
        r"(?:only )?(?:if|unless|when|once(?! more| again)|until|till|as soon as|whenever|provided|after it|after that|after this)\b",
        text,
        re.I,
    ) and not re.match(
        r"until (?:it|everything|that|this|they|all|(?:the|my|our|this)(?: \w+)? (?:build|project|code|program|thing|compilation|tests?)|(?:the )?build)\b",
        text,
        re.I,
    ):
        return Part(Speech.CONDITION, text)
    if _reason().match(text) and not re.match(
        r"for (?:the|this|my) project\b|for (?:arm|aarch|x86)", text, re.I
    ):
        return Part(Speech.STATE, text)
    if re.match(r"(?:maybe|perhaps|possibly|probably)\b", text, re.I):
        return Part(Speech.CONDITION, text)
    if re.match(r"until\b", text, re.I):
        return Part(Speech.ORDER, text, starts=False)
    bare, asked = unwished(text)
    if asks(bare) and not asked:
        return Part(Speech.QUESTION, bare)
    if re.match(r"nothing\b.* (?:is|are|was|has|were)\b", bare, re.I):
        return Part(Speech.STATE, bare)
    if re.match(r"(?:know|hear|learn|understand|be (?:told|sure|informed|certain))\b", bare, re.I):
        return Part(Speech.QUESTION, bare)
    if forbids(bare):
        return Part(Speech.FORBID, bare)
    if not begins(bare) and _TELLS.search(bare):
        return Part(Speech.STATE, bare)
    if re.match(
        r"(?:the )?(?:outputs?|results?|binaries) (?:goes?|should go|shall go|belongs?) (?:in)?to\b",
        bare,
        re.I,
    ):
        return Part(Speech.ORDER, bare, asked, starts=False)
    wished = wished or bool(_WISHING.search(text[: len(text) - len(bare)]))
    if named := _NAMED.match(bare):
        return Part(Speech.ORDER, f"{named['what']} {named['value']}", asked, starts=False)
    if (must := _MUST.match(bare)) and not re.match(r"(?:not|never)\b", must["rest"], re.I):
        # What is said of "it" belongs to the order, and has to be understood with it.
        return Part(Speech.ORDER, must["rest"], asked, starts=False)
    if states(bare) and not (wished and not _FINITE_BE.search(bare)):
        match = _MODAL.match(text)
        if (
            match
            and (match["be"] or _DOES.match(match["rest"]))
            and not re.search(
                r"\b(?:not|never|nobody|nothing|no one|if|i|we|you|he|she|they)\b",
                match["what"] + " " + match["rest"][:6],
                re.I,
            )
        ):
            about = re.sub(r"^(?:it|this|that|which)$", "", match["what"], flags=re.I)
            return Part(
                Speech.ORDER, f"{about} {match['rest']}".strip(), asked, bool(match["be"] and about)
            )
        return Part(Speech.STATE, bare)
    if (first := bare.split(" ")[0]).lower().endswith("ing") and (verb := verb_of_form(first)):
        bare = f"{verb}{bare[len(first) :]}"
    follows = bool(re.search(r"then|after|next|finally|subsequently|followed", before))
    return Part(Speech.ORDER, bare, asked, begins(bare) or follows, wished)


def _waits(condition: str, rest: str, ordered: str) -> bool:
    """Tell whether a condition is none of what was ordered before: "build it if the tests pass"."""
    if condition.lower().startswith("if") and not rest:
        return True
    return "test" in condition.lower() and "test" not in ordered.lower()
