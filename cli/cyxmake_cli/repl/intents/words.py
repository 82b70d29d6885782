"""The words of instructions: modifiers, verbs, and what may be said around them, as tables.

Knows no commands' options (see frame) and no grammar (see read). Patterns are matched anywhere in
a clause, in this order, and what they match is taken out of it; `{name}` stands for a file, a
target or the like.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

NAME: Final = r"[\w./+~@-]*[\w+/]"
_COUNTED: Final = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
"""
_NUMBERS: Final = {
    word: number
    for number, word in enumerate(
        _COUNTED.split(),
        1,
    )
} | {"twenty": 20, "thirty": 30, "sixty-four": 64, "thirty-two": 32}
NUMBER: Final = rf"\d{{1,5}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))}"
_UNITS: Final = (
    r"(?:parallel |concurrent |cpu |processor )?"
    r"(?:jobs?|cores?|threads?|process(?:es)?|cpus?|processors?|tasks?)"
)
_THE: Final = (
    r"(?:the |my |our |its |this |that |these |those |all |all of |an? |your |her |his |their )*"
)
_MODE: Final = r"(?: (?:mode|type|configuration|config|version|variant|flavou?r|profile))?"
_IN: Final = r"(?:(?:switch(?:ing)? to|change to|go|choose|select|in|as|for|with|using|to|into|of) )?(?:an? |the )?"


def number(text: str) -> int:
    """Return the number that a word or digits stand for."""
    return int(text) if text.isdigit() else _NUMBERS[text.lower()]


def pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern of whole words; groups of the same name are numbered from the second on."""
    seen: Counter[str] = Counter()

    def numbered(match: re.Match[str]) -> str:
        seen[match[1]] += 1
        return f"(?P<{match[1]}{seen[match[1]] if seen[match[1]] > 1 else ''}>"

    text = re.sub(r"\(\?P<([a-z_]+)\d*>", numbered, text)
    text = text.replace("{name}", NAME).replace("{the}", _THE).replace("{n}", NUMBER)
    return re.compile(rf"(?<![\w./-])(?:{text})(?![\w/-])(?!\.\w)", re.IGNORECASE)


def opening(text: str) -> re.Pattern[str]:
    """Compile a pattern of what a line begins with; the rest follows at once."""
    return re.compile(rf"^(?:{text})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Modifier:
    """What a pattern sets: `field` to `value`, or to its group."""

    field: str
    value: Any
    pattern: re.Pattern[str]


def _m(field: str, value: Any, text: str) -> Modifier:
    return Modifier(field, value, pattern(text))


MODIFIERS: Final[tuple[Modifier, ...]] = (
    _m("auto_fix", True, r"(?:and )?(?:please )?(?:fix|repair|sort out|resolve)(?:ing)?(?: (?:it|them|that|whatever|everything|anything|what|any|all|the|"
       r"missing|errors|problems|failures|issues|things|breaks|is|broken|fails|goes|wrong|comes|up|along|way|on|if|needed|you|can|as|go|necessary))+"
       r"|(?:and )?(?:fix|repair)(?:ing)?(?: it| them)? (?:if|where|when|as) (?:needed|necessary|required|possible)|(?:with |and )?(?:--)?auto-?fix(?:ing)?"),
    _m("keep_going", True, r"(?:and )?(?:keep going|carry on|continue|go on) (?:right )?(?:to|until|till) the (?:very |bitter )?end|(?:and )?(?:keep going|carry on|continue|go on|do not stop)(?! until)(?! building)(?! trying)"
       r"(?: (?:even )?(?:if|when|on|after|at|past|despite|with) (?:the )?(?:\w+ )?(?:errors?|"
       r"failures?|something fails|things fail|some fail|it fails|one fails|first error))?"
       r"|as far as (?:possible|it goes|you can)"),
    _m("dry_run", True, r"(?:as |in |with |do |make )?(?:an? |the )?--?dry[- ]?run(?: (?:of|mode))?"
       r"|(?:as |in |do |make )?(?:an? |the )?dry[- ]?run(?: (?:of|for|mode|only))?"
       r"|(?:just |only )?pretend(?:ing)?(?: to)?|(?:just |only )?simulat(?:e|ing)"
       r"|without (?:actually |really )?(?:doing|running|building|executing|changing|touching|"
       r"deleting|removing|installing) (?:it|anything|something|a thing|any(?: of it)?)"
       r"|(?:just |only )?show(?: me)? what (?:would|it would|that would|you would)(?: be)? "
       r"(?:do|done|happen|run|build)"),
    _m("clean_first", True, r"from scratch|(?:start(?:ing)? )?(?:from|with) a clean slate|from the beginning|from the ground up|from zero|from nothing|cleanly|start(?:ing)? (?:over|afresh|fresh|anew)|(?:completely|fully|totally|entirely)(?= re-?(?:build|compile))|(?<=rebuild )(?:everything|all of it|it all|completely|fully|all)|(?<=recompile )(?:everything|all of it|it all|completely|all)|freshly|with a clean slate|"
       r"(?:by |and )?clean(?:ing)?(?: up)?(?: it| everything)? (?:first|before(?:hand)?)|after (?:a )?clean(?:ing)?(?: up| first| it)?|"
       r"(?:do |make |run |perform |give me |start )?(?:a|an|another) (?:completely |totally |really )?(?:clean|fresh|full)"
       r"(?= (?:[\w-]+ )?(?:re-?)?(?:build|compile)\b)|^(?:clean|fresh|full)(?= (?:release |debug )?(?:re)?build(?: (?:in|with|on|of|for|as|using|please)\b|$))"),
    _m("type", "relwithdebinfo", _IN + r"rel(?:ease)?[- ]?with[- ]?deb(?:ug)?[- ]?(?:info(?:rmation)?|"
       r"symbols)" + _MODE + r"|release (?:build )?(?:and|but)? ?(?:with|including|keeping) "
       r"(?:the )?(?:debug(?:ging)? )?(?:info(?:rmation)?|symbols)"),
    _m("type", "minsizerel", _IN + r"(?:min(?:imum|imal)?[- ]?size(?:[- ]?rel(?:ease)?)?|smallest "
       r"(?:possible )?size|(?:the )?(?:small(?:est)?|tiniest|most compact|leanest)(?: possible)? (?:binar(?:y|ies)|executables?|programs?|size|build)(?: (?:that |which )?(?:you|we|one|it) (?:can|could) (?:get|make|produce|manage|build|give me|be))?(?: possible)?|minsize|smallest possible (?:binary|executable|program|result)|smallest (?:executable|program))" + _MODE
       + r"|(?:optimi[sz]ed|optimi[sz]e|tuned|tune) (?:it )?for (?:(?:minimum|minimal|small|smallest|code|binary) )*(?:size|footprint|space)|for (?:the )?(?:(?:minimum|minimal|small|smallest|lowest|code|binary|executable|least) )*(?:size|footprint)(?! of)|as (?:small|tiny|little|compact|slim|lean) as (?:possible|you can(?: (?:make|get) (?:it|them))?|it (?:gets|can be))"),
    _m("type", "release", _IN + r"(?:--)?(?:release|rel(?= build)|optimi[sz]ed|production)" + _MODE
       + r"|(?:(?:with|and|using|use|have|all|the|full|compiler|maximum|maximal|every|turn on|switch on|enable) )*optimi[sz]ations? (?:(?:turned|switched|set|being) )?(?:on|enabled|active|activated|in)|(?:(?:with|using|turn on|switch on|enable|use) )(?:(?:all|the|full|compiler|maximum|maximal|every) )*optimi[sz]ations?|(?:fully |highly )optimi[sz]ed|optimi[sz]ed for speed|for (?:maximum |best |top |full )*(?:speed|performance)|for production|--type[= ]release"),
    _m("type", "debug", _IN + r"(?:debug|unoptimi[sz]ed)(?:ging|gable)?(?: (?:info(?:rmation)?|"
       r"symbols))?" + _MODE + r"|(?:with(?:out| no)|no|disable|turn off|switch off)(?: (?:any|all|the|compiler))* optimi[sz]ations?(?: at all)?|optimi[sz]ations? (?:turned |switched )?(?:off|disabled)|so (?:that )?(?:i|we) can (?:debug|step through)(?: it| the code)?|for (?:the )?debug(?:ging|ger)(?! info| symbols)"),
    _m("strategy", None, r"(?:(?:with|using|by|via|use|in|as|follow(?:ing)?) )?(?:a |the )?(?:(?P<value>compile"
       r"[- ]units?|targets?|whole[- ]project|hybrid)[- ]strategy|strategy (?P<value2>compile[- ]units?|"
       r"targets|whole[- ]project|hybrid)|(?P<value7>hybrid|whole-project|compile-units)(?= (?:cluster|distributed)\b)|(?<=with )(?P<value6>hybrid|whole-project|compile-units)|(?P<value3>hybrid|whole[- ]project|compile[- ]units?) (?:mode|"
       r"build|way)|(?:(?:cut|split|divided?) )?by (?P<value5>targets|compile[- ]units?)|(?P<value4>as a whole|in one piece|as (?:one|a single) (?:job|action|piece)))"),
    _m("jobs", 1, r"single[- ]threaded|one after (?:the other|another)|one by one|one (?:thing|file|job) at a time|sequentially|serially|"
       r"without parallelism|(?:with|on|using) (?:just |only )?(?:a single|one) "
       r"(?:core|job|thread|cpu)|not in parallel"),
    _m("jobs", None, r"(?:(?:with|using|on|at|in|over|across|use|by) )?(?:only |just |up to |at most |not more than |(?:do not|never) use more than |no more than |"
       r"no more than |a maximum of |all )?(?P<value>{n}) " + _UNITS
       + r"(?: (?:at (?:a time|once)|in parallel))?|(?:with )?(?:-j|jobs?|--jobs)[ =]?(?P<value2>\d{1,5})"
       r"|(?P<value3>{n})[- ]way parallel|(?:with )?(?P<value4>{n}) (?:at a time|at once|in parallel)"),
    _m("local", True, r"(?:and |but )?do not use (?:the |any |a )?(?:cluster|workers)|(?:only |just |purely )?locally(?: only)?|(?:an? |the )?(?:purely )?local(?= (?:\w+ )?(?:re)?(?:build|compile|compilation)\b)|(?:only |just )?(?:on|with|using) "
       r"(?:this|my|the local|my own|your|local) (?:own |very |local |little |old )*(?:machine|computer|laptop|host|pc|box|workstation|desktop|notebook|hardware)"
       r"(?: only| alone| here)?|(?:without|with no|not(?: on| using| with| in| by)?|avoiding|no)(?: using| use of)? (?:(?:the|a|any|other|some) )*"
       r"(?:cluster|workers?|remote (?:machines?|computers?|hosts?|builds?|execution)|remote(?: workers?)?|farm|grid)|(?:only here|here only|right here)"
       r"|do not (?:send|ship|distribute) (?:anything|it|this|any of it)(?: to (?:the )?(?:cluster|workers))?|keep (?:it|everything|all) on this machine|nothing (?:goes )?to the cluster|(?:skip|bypass|avoid|ignore)(?:ping|ing)? (?:the )?(?:cluster|workers)|--local|not remotely|(?:and )?leave (?:the )?(?:cluster|workers) (?:out|alone|in peace)(?: of (?:it|this|that))?|keep (?:it|everything|this) (?:off the cluster|local)|stay(?:ing)? (?:local|off the cluster)|off the cluster|(?:(?<=build )|(?<=compile ))here|(?:with )?no cluster"),
    _m("cluster", True, r"(?:(?:with the help of|at|on|over|with|using|via|to|in|across|through|by|use|have|let) )?(?:the |a |my |our |one |some |any )?"
       r"(?:build |whole |entire |other |team'?s |remote )*(?:cluster|farm(?! out)|grid|workers|(?<=a )worker|(?<=one )worker|(?<=any )worker|(?<=other )machines|"
       r"(?<=remote )machines)|(?:as |in )?(?:an? |the )?distributed(?:ly| way| fashion| mode)?|remotely"
       r"|--cluster|distribut(?:e|ing)|farm(?:ing)? out|everywhere"),
    _m("verbose", True, r"(?:but |and )?(?:be |more |very )?verbos(?:e|ely|ity)(?: (?:mode|output))?|"
       r"(?:with|in|show(?:ing)?(?: me)?) (?:all |every |each |the |more |full )*(?:details?|commands?"
       r"(?: lines?)?)|in verbose mode|with (?:verbose|full) output|loudly"),
    _m("quiet", True, r"(?:be |but |and )?(?:quiet(?:ly)?|silent(?:ly)?)(?: mode)?|(?:only |just )?show(?:ing)? "
       r"(?:me )?(?:only )?(?:the )?(?:failures|errors)(?: only)?|with(?:out| no) (?:any |all |all that |that |the |so much |much )*(?:output|noise)"),
    _m("json", True, r"(?:with )?machine[- ]readable(?: output| results?)?(?: as json)?|(?:(?:as|in|with|print(?:ing)?) )?json(?: output| format)?"),
    _m("prefix", None, r"(?:(?<=install )|(?<=installed ))(?:it |this |that |them |everything |{the}(?:whole |finished |built )*(?:project|program|everything|binaries|result|build|thing|software|app|application|code|library|files) )?(?:in|into|to|under|at|below) (?:(?:the )?(?:folder|directory|prefix) )?(?P<value>(?:~|\.{0,2})/{name}|{name})|with (?:the )?prefix (?P<value2>/?{name})"),
    _m("directory", None, r"(?:go|change|switch|cd)(?: to| in(?:to)?)? (?:the )?(?:project |folder |directory )?(?P<value>(?:\.{1,2}|~)?/{name}|\.{1,2}(?:/{name})?|{name}/{name})"),
    _m("build_dir", None, r"(?<=clean )(?:only |just |out |up )?(?:the )?(?:directory|folder) (?P<value>{name})|(?:(?:what is )?(?:in|into|to|under|using|with) )?(?:the |a )?(?:build|output)[- ]?(?:dir(?:ectory)?|"
       r"folder) (?:called |named |at )?(?P<value>(?!and\b|with\b|for\b|please\b){name})|(?:in|into|under|using) (?:the |a )?(?:directory|"
       r"folder|dir) (?:called |named )?(?P<value2>{name})|into (?P<value3>{name})|(?:of the build )?in (?P<value4>(?:build|out|cmake-build)[-_]?[\w/-]*[\w])(?<! build)(?<! out)"
       r"|(?:and )?(?:put|plac|writ|leav|stor|keep)(?:e|ting|ing)? (?:the |all |all the |its )*(?:outputs?|results?|binaries|build|objects|artifacts) (?:in|into|to|under|below) (?:the )?(?:directory |folder )?(?P<value7>(?![/~]){name})|(?P<value6>{name}) as (?:the |a )?(?:build|output)[- ]?(?:dir(?:ectory)?|folder)|(?:the )?(?:outputs?|results?|binaries) (?:goes|go|should go|shall go|belongs?|is to go) (?:in)?to (?P<value5>{name})"),
    _m("directory", None, r"(?:what is |whatever is |everything )?(?:{the}(?:project|repo(?:sitory)?|code|sources?) )?(?:(?:go|change|switch|cd)(?: to| into)?|in|at|under|from|of|below) (?:the )?"
       r"(?:project |folder |directory )?(?P<value>(?:\.{1,2}|~)?/{name}|\.{1,2}(?:/{name})?|{name}/(?:{name})?)"
       r"|(?:(?<=build )|(?<=compile )|(?<=test ))(?P<value2>\.{1,2}/[\w/-]+|~/[\w/-]+|/[\w/.-]*[\w/])"
       r"|(?:(?:in|at|under|from|of) )?(?P<value3>[A-Za-z]:[\\/][\w\\/.-]+)"),
    _m("options", None, r"(?:with |and |using |passing |the |cmake |meson |configure |options? |flags? |definition |option |pass |hand |give |set |add |define |use )*(?P<value>-D[\w:]+(?:=[\w./+-]+)?)(?: to (?:cmake|meson|configure|it|the configuration))?"),
    _m("system", None, r"(?:with|using|use|through|via|choose|select|pick|take) (?:(?:plain|gnu|good old|old|the|just|only) )*(?P<value>cmake|meson|ninja|make|autotools|bazel|scons|cargo|go|"
       r"maven|gradle|npm|pnpm|yarn|python)(?: as (?:the |my |a )?(?:build )?(?:system|tool))?|(?P<value3>cmake|meson|ninja|autotools|bazel|scons|cargo|maven|gradle) used|(?P<value2>cmake|meson|ninja|autotools|bazel|scons|cargo|maven|gradle)(?= build\b)"),
    _m("again", True, r"(?:once |one )?(?:more|again)(?: time)?|another time|once more|over again|anew"),
)  # fmt: skip
"""Modifiers; the groups `value`, `value2`, ... hold what is set where the value is None."""

_TESTS: Final = r"{the}(?:unit |whole |entire |complete |full |project'?s |integration |existing |other )*(?:test ?suites?|tests?|checks)"

NOUNS: Final = (("test", pattern(_TESTS)), ("install", pattern("{the}install(?:ation)?(?: step)?")))
"""What a verb is also called where something is left out: "skip the tests"."""

_FILLER: Final = """
a actually afterwards again ahead all also an and any as asap at away be binary both but by
called can code complete completely configure configured configuring could currently cyxmake
default do entire ever everything executable fast finally first for fresh full fully go have
hello here hey hi i if immediately in instead is it its just kind kindly let lets library like
me mean mode module more my myself named need next now of ok okay on once one only our parallel
please possible program project quick quickly ready really right same second shall simply some
soon source sources target targets tests that that's the them then there these thing third this
those time to today together too try unit up us use using version want we well when whole will
with would you your yourself
"""
FILLER: Final = frozenset(_FILLER.split())
"""Words that say nothing by themselves."""

_NO_TARGET: Final = """
about after again against always although any anybody anyone because beside besides beyond but daily despite during each early earlier either else except few first hourly how however if
instead last least less maybe monday month more most much neither next nightly nor not none off often on once only or others perhaps possibly probably rather saturday several since so
sometimes still sunday than then though till tonight twice unless unlike unlikely until usually very weekly whatever whenever wherever whereas yet year
agent agents worker workers token tokens cache layer layers package packages coordinator model models cluster plugin plugins settings permission permissions launcher history machine machines strategy job jobs stuff
afternoon morning evening night noon midnight hour hours minute minutes o'clock another anything back bad badly beautiful because before better
breaks broke broken carefully coffee correctly crashed dinner done else ended everyone
everything failed failing fails fast faster fine finished food good great green hangs happily
happiness her him history home if just later less love me more music my never nice nobody not
nothing other ours own passed passes passing peace people perfect perhaps quicker quickly red
slow slower slowly some somebody someone something soon stopped takes than that their them these
they those today together tomorrow tonight took trouble trust until us well what when where
whether which who why without work worked works world wrong yesterday you your yours
"""
NO_TARGET: Final = frozenset(_NO_TARGET.split())
"""Words that are no target, wherever they stand."""

_OWN: Final = """
app application assignment backend binary bot code codebase compiler demo driver editor emulator engine example exercise experiment firmware framework frontend game homework
kernel library model monorepo plugin program project prototype renderer repo repository robot server service simulation simulator site software solver stack stuff thesis thing
tool toolchain toy website work
"""
OWN_PROJECTS: Final = frozenset(_OWN.split())
"""What somebody calls a project of his own: "my thesis simulation"."""

NEGATION: Final = pattern(
    r"(?:(?:please|but|and|just|so|then|though|however) )*(?:do not|don'?t|never|no need to|avoid|"
    r"(?:without|not|instead of|rather than)(?: \w+ing)|you (?:need|must|should)(?:n'?t| not)(?: to)?|stop short of|"
    r"i do not want(?: you)? to|refrain from|skip|leave (?:out|off)|leave(?= .* (?:out|off|alone)$)|no|not)"
)
AGAIN: Final = pattern(
    r"(?:do |run |try |repeat |redo |retry )?(?:it |that |this |the same(?: thing)? |the last (?:one|command|"
    r"build|thing) )?(?:all )?(?:again|once more|one more time|another time)|repeat(?: (?:it|that|this|the last "
    r"(?:one|command|build)))?|re-?try(?: (?:it|that|this))?|redo(?: (?:it|that|this))?|(?:do )?(?:the )?same"
    r"(?: (?:again|thing|as before))?|do (?:it|that|this|so)|re-?run(?: (?:it|that|this))?(?! (?:the|all|my|our|every|test|unit)\b)|as before|like before"
)
ONLY: Final = pattern(
    r"(?:only|just|nothing but) (?:the |build |compile |test |run )*(?P<names>{name}(?:(?:,? and |, ?| )"
    r"(?!and )(?:{name}))*)"
)
TARGETS: Final = (
    pattern(r"(?:of |for |only |just |nothing but )?(?:the )?(?:(?:two|three|four|five|following|\d) )?targets? (?:called |named )?"
            r"(?P<names>{name}(?:(?:,? and |, ?)(?:{name}))*)"),
    pattern(r"(?:of |for |only |just )?(?:the )?(?:unit )?tests? (?:called |named )?(?P<names>(?=\S*[_\d./-]){name}(?:(?:,? and |, ?)(?:{name}))*)"),
    pattern(r"(?P<names>(?=\S*[_\d./-]){name}(?:(?:,? and |, ?)(?:{name}))*) (?:only|alone)"),
    pattern(r"(?:of |for |only |just |nothing but )?the (?P<names>{name}(?:(?:,? and |, ?)(?:{name}))*) (?:targets?|library|"
            r"program|executable|binary|module|tests?|unit tests?|component|libraries|programs|"
            r"executables|binaries)(?: (?:only|alone))?"),
)  # fmt: skip
"""How targets are named; `names` may hold several."""
