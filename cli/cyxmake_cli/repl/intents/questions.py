"""Questions and wishes to see something, each with the command that answers it; as a table.

Knows nothing that acts: what stands here only reads (model.Look refuses the rest). `{group}` is
what the pattern's group matched.
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_cli.repl.intents.words import opening, pattern

_FILE: Final = r"(?:the )?(?:file |header |object |unit |source )?(?P<file>[\w./+~-]*[\w+]\.[\w+]+|[\w+~-]+/[\w./+~-]+)"
_BUILD: Final = r"(?:the |my |our |this |that |its |last |latest |previous |whole )*(?:build|compile|compilation|run|tests?|project|it|this|that|one|thing|everything)"
_CLUSTER: Final = r"(?:the |my |our |this )?(?:build )?(?:cluster|farm|grid)"
_AGAIN: Final = r"(?:re-?built|re-?compiled|(?:compiled|built|made)(?: again| anew| once more)?|(?:re-?)?(?:compile|build)(?: again| anew)?|a (?:cache )?miss|not (?:cached|a hit|(?:taken )?from the cache|in the cache)|miss(?:ed)? the cache|run again)"
_HERE: Final = r"(?:locally|here|on this machine|on my machine|on (?:the )?worker|on (?:the )?cluster|remotely|there|not on (?:the|a) (?:cluster|worker)|not remotely|where (?:it|they) (?:did|was|were)|on [\w.-]+)"
_SHOW: Final = r"(?:(?:please )?(?:show|list|print|display|give|tell|see|view|get|let me see|i want to see|i'?d like to see|what about|and)(?: me| us)? )?(?:(?:what|which) (?:is|are) |about )?(?:all |the |my |our |its |of |every |current |a list of |some |full )*"

QUESTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (pattern(f"^(?:{text})$"), argv)
    for text, argv in (
        # why it failed
        (rf"(?:why|how come|for what reason) (?:did|does|has|is|was|do|can)(?:n'?t| not)? {_BUILD} (?:not )?(?:fail|failed|failing|break|broken|"
         r"broke|broken|red|go wrong|not work|work|stop|stopped|crash|crashed|compile|pass|succeed|build|die|end|abort|aborted|going wrong|"
         r"not (?:build|compile|pass|work|succeed)(?:ing)?)(?: (?:now|today|again|just now|last time|this time|like that|so early))?",
         "explain failure"),
        (rf"why {_BUILD} (?:has |is |was |does |did )?(?:not )?(?:fail|fails|failed|failing|broke|breaks|broken|red|work|works|compile|working|building|build)|what {_BUILD} (?:failed|died|stopped|broke) (?:on|from|of|with|at)", "explain failure"),
        (r"did (?:anything|something|any(?: of the| of my)? (?:tests?|builds?|files?|targets?|thing)) (?:fail|break|go wrong|crash)(?: .*)?", "explain failure"),
        (r"is (?:there )?(?:anything|something|a tool|any tool) (?:\w+ )?(?:missing|lacking|not installed)(?: .*)?", "tools --missing"),
        (r"when (?:was|did) (?:the |my |our )*(?:last |latest )?(?:successful|green|good|failed|broken|red) (?:build|test|run)s?(?: .*)?", "history"),
        (r"(?:is|was) (?!(?:the|it|this|that|my|our|an?|there|any|everything|anything|something|anybody|somebody)\b)[\w-]+ (?:still |already |now |currently )?(?:busy|idle|online|offline|drained|draining|connected|alive|reachable)(?: .*)?", "workers"),
        (rf"why {_FILE} (?:was|is|got|has been|had to be|gets) (?:being )?{_AGAIN}", "explain miss {file}"),
        (rf"why {_FILE} (?:was|is|did|ran) (?:not )?(?:run|ran|compiled|built|executed|done )*{_HERE}|where {_FILE} (?:was|ran|is) ?(?:run|compiled|built)?", "explain placement {file}"),
        (rf"(?:why (?:did|does|was|is) (?:it|that|this)(?: (?:not|fail|happen|red|broken|so))*|why(?: not)?|how come|what (?:has |is |did )?(?:went|goes|gone|go|going|happened|broke|broken|failed|failing)(?: (?:so )?(?:wrong|badly))?"
         rf"|what (?:is|was|are) (?:so )?(?:wrong|the matter|broken|failing|not working|red)"
         rf"|(?:what|anything) (?:is )?wrong)(?: (?:with|in|to|of|during|about) {_BUILD})*(?: {_BUILD})?(?: (?:just now|now|last time|this time|there|here))?", "explain failure"),
        (rf"(?:what|which) (?:made|let|had) {_BUILD} (?:fail|break|stop|crash|go wrong)|(?:what|which) (?:is|was|were|are|caused) (?:the )?(?:first |last |real |root |actual |this |that )*(?:errors?|problems?|cause|reason|failure|issue|mistake)"
         rf"(?: (?:of|for|in|with|behind|to|that) (?:the )?(?:errors?|problem|failure|{_BUILD}|fail|broke)| fail)*", "explain failure"),
        (rf"(?:explain|diagnose|analyse|analyze|show|tell me(?: about)?)(?: me)? (?:the |what |why )*(?:last )?(?:build )?(?:failure|error|errors|problem|{_BUILD} failed|went wrong|failed)"
         rf"(?: of {_BUILD}| in {_BUILD})?", "explain failure"),
        # why a file was built, or ran where it did
        (rf"(?:why|how come|for what reason|what made) (?:did|does|was|is|has|were|do|have)(?:n'?t)? {_FILE} (?:be |been |get |have to be |needed to be |being )?{_AGAIN}(?: in the last build| last time| again)?",
         "explain miss {file}"),
        (rf"(?:why|how come) (?:would|will|does|must|should) {_FILE} (?:need to |have to |get |be )*{_AGAIN}(?: next(?: time)?| now| in the next build)?",
         "explain rebuild {file}"),
        (rf"(?:why|how come) (?:did|does|was|is|has|were)(?:n'?t)? {_FILE} (?:been |be |get )?(?:not )?(?:run|ran|compiled|built|executed|done|compile|placed|made|build|happen)(?: to be)? "
         rf"{_HERE}|where (?:did|does|was|is) {_FILE} (?:run|ran|compiled?|built|executed|done|made|build)",
         "explain placement {file}"),
        (rf"why (?:did|was) {_FILE} not (?:run|ran|sent|compiled|built|compile|go)(?: (?:to|on))?(?: the)? (?:cluster|remotely|workers?)", "explain placement {file}"),
        (r"(?:which|what) (?:is the |build )?strateg(?:y|ies) (?:would|will|should|is|are|does|do|fits?|suits?|to).*|(?:how|what) would (?:the )?hybrid(?: strategy)? .*|"
         r"explain (?:the |your )?(?:choice of )?(?:build )?strateg(?:y|ies)|what strategy (?:is|would be) best.*", "explain strategy"),
        # who includes whom
        (rf"(?:what|which|who|how many|how much)(?: (?:files?|units?|sources?|things|objects?|targets?|code|else|other files))? (?:all )?(?:depends? on|includes?|uses?|needs?|is affected by|are affected by|"
         rf"would be affected by(?: (?:a change (?:of|in|to)|changing|editing|touching|changes (?:of|in|to)))?|is reached by|include|must be (?:re)?(?:built|compiled) (?:when|if|after)) {_FILE}(?: (?:changes|is changed|was changed))?", "graph impact {file}"),
        (rf"(?:what|how much|how many files)(?: all)? (?:breaks?|happens?|changes?|is (?:re)?(?:built|compiled)|would (?:break|happen|be (?:re)?(?:built|compiled))|gets? (?:re)?(?:built|compiled)|do i (?:rebuild|recompile)|needs? (?:re)?compiling|has to be (?:re)?(?:built|compiled)|must be (?:re)?(?:built|compiled)) "
         rf"(?:if|when|after|once)(?: i| we| you| one| somebody)? ?(?:change|edit|touch|modify|changing|editing)? ?{_FILE}(?: (?:changes|is changed|is touched|is edited))?", "graph impact {file}"),
        (rf"{_SHOW}(?:impact|effect|consequences?|reach) of (?:a change (?:of|in|to)|changing|editing|touching)? ?{_FILE}", "graph impact {file}"),
        (rf"(?:what|which|how many)(?: (?:files?|headers?|things|else|all|includes))* (?:does|do|is|are) {_FILE} (?:all )?(?:include|includes|depend on|need|use|pull in|read)|"
         rf"what (?:is|are|gets) included (?:by|in|from) {_FILE}|{_SHOW}(?:dependenc(?:y|ies)|includes|headers|deps) (?:of|for|in) {_FILE}", "graph deps {file}"),
        (rf"(?:are|is) there (?:any )?(?:circular|cyclic) ?(?:include|dependenc|header)?\w*(?: \w+)?|(?:are|is) there (?:any |an )?(?:include |header |dependency )?(?:cycles?|circles?|loops?)(?: .*)?|"
         rf"(?:do|does) (?:any |some )?headers? include (?:each other|themselves).*|{_SHOW}(?:include |header |dependency )?(?:cycles|circles|circular includes)", "graph cycles"),
        (rf"(?:which|what) (?:headers?|files?|includes?) (?:is|are|costs?|cause|causes|trigger|triggers|would|make)(?: the| it)? (?:most|hot|costly|expensive|slow|worst|biggest)?.*(?:expensive|most|costly|hot|rebuilds?|compiles?|slow)|"
         rf"{_SHOW}hot ?spots?(?: (?:of|in) .*)?|(?:where|what) are the (?:include )?hot ?spots", "graph hotspots"),
        # the cluster
        (rf"(?:which|what|how many|who are the|are there(?: any)?|do (?:we|i) have(?: any)?|is there(?: a| any)?) (?:of the |my |our )?(?:workers?|machines|computers|nodes|hosts)(?: (?:is|are|do|does|can|have|has|in|on|we|i|there|the|connected|"
         rf"online|up|free|idle|busy|cluster|here|now|available|working|currently|active|draining|joined|ready|alive|running|left|take|work))*|who is (?:working|compiling|in the cluster|online)|"
         rf"{_SHOW}(?:cluster'?s )?(?:workers?(?: stat(?:us|istics|s))?|machines)(?: (?:in|of|on) {_CLUSTER})?|how (?:busy|loaded) (?:is|are) (?:the )?workers?|(?:are|is) (?:the|all|any|all the) workers? (?:up|busy|idle|free|connected|ok|fine|alive|ready|there|online)", "workers"),
        (r"is (?:the|a|any|my|our) coordinator (?:up|running|alive|reachable|there|started|ok|fine|on|active|here|still running)(?: (?:here|now|on this machine))?|how is the coordinator(?: doing)?|"
         rf"{_SHOW}coordinator(?:'?s)? (?:status|state)|{_SHOW}(?:status|state) of the coordinator", "coordinator status"),
        (rf"(?:is|are) {_CLUSTER} (?:up|running|alive|reachable|there|available|ok|fine|on|working|busy|healthy|idle|down|free|still up)(?: (?:here|now|today|again))?|"
         rf"how (?:is|busy is|loaded is|full is|healthy is) {_CLUSTER}(?: (?:doing|now|today))?|(?:what|how) is (?:the )?(?:status|state|going on|happening|up)(?: (?:of|with|on|in) .*)?|how (?:are|is) (?:things|it|everything)(?: going| doing)?|"
         rf"(?:am i|are we) (?:connected|logged in)(?: (?:to|in) .*)?|(?:which|what) cluster (?:am i|do i|is|are|will|does).*|is there a cluster(?: configured)?|how many (?:jobs|actions|compiles|things) are (?:running|queued|waiting)(?: .*)?|is (?:anything|something|a build|any build|anybody|somebody) (?:running|queued|going on|building|compiling|being built|being compiled|in progress|under way)(?: .*)?|"
         rf"{_SHOW}(?:project |cluster )*(?:status|state)(?: of (?:the |this |my )?(?:project|cluster|everything|things))?|where (?:am i|are we)|is (?:this|the|my) project configured|(?:what|which) build system (?:is|does|do|will|are).*|is (?:this|it) (?:already )?built|(?:which|what) build directory .*", "status"),
        (r"(?:is there|are there|which|what|who|can you find|find|look for|discover|search for)(?: any| a)? coordinators?(?: (?:are|is))?(?: (?:there|on|in|here|around|near|the|local|network|lan|announced|nearby|i can use))*", "discover"),
        # what was done
        (r"(?:what|which)(?: \w+)? (?:did|have|has) (?:you|cyxmake|it)(?: ever| all| already)? (?:do|done|changed?|touched?|remove[d]?|install(?:ed)?|delete[d]?|written|write|run|acted?)(?: .*)?|who (?:allowed|permitted|approved|confirmed|did|said yes|has allowed) .*|what was (?:allowed|denied|refused|done|changed|approved).*|"
         rf"{_SHOW}audit(?: log| trail)?|{_SHOW}log of (?:what was done|actions|acts)", "audit"),
        (rf"(?:when|how long|how fast|how quick(?:ly)?|how slow)(?: time)? (?:did|was|has|does|is|took|were)(?: i| we| you)? ?(?:last )?{_BUILD}?(?: (?:take|took|last|run|ran|buil[dt]|done|finish(?:ed)?|end(?:ed)?|start(?:ed)?|need|go|time|compiled?|it|this|the project))*|"
         rf"(?:did|has|have|was|is|were|are) {_BUILD} (?:succeed(?:ed)?|work(?:ed)?|pass(?:ed|ing)?|fail(?:ed|ing)?|green|red|ok|fine|successful|good|finish(?:ed)?|a success|run|broken|through|go well|go through|end well|compile|done)(?: (?:last time|this time|now|yesterday|today))?|how did {_BUILD} (?:go|end|do|turn out)|"
         rf"{_SHOW}(?:last|latest|most recent|previous) (?:build|result|run)(?:'s)?(?: result| status)?|(?:what|how) (?:was|is) the (?:result|outcome|duration|exit (?:code|status)) of {_BUILD}|what did (?:i|we|you) (?:last )?(?:build|do|run) last", "history -n 1"),
        (rf"(?:what|which)(?: builds?| things?| projects?)? (?:have|did|has|were|do) (?:i|we|you|been|been done|there been)? ?(?:buil[dt]|done|run|tested|compiled|made|ran|here|so far|there|before|test|failed)(?: .*)?|how (?:often|many (?:builds|times)) .*|(?:which|what|how many) builds? (?:were|are|failed|have|has|passed|succeeded|ran|is|was).*|"
         rf"{_SHOW}(?:last |few |\d+ |three |five |ten |latest |recent |previous |earlier )*(?:builds|(?:build )?history|history of builds|past builds)(?: .*)?", "history"),
        (rf"(?:what|which) (?:did|has|does) (?:it|the build|the last build|the compiler|the tool|cmake|make|the linker|{_BUILD}) (?:say|said|print(?:ed)?|output|write|written|complain about)(?: last| exactly)?|"
         rf"{_SHOW}(?:last |latest |whole |complete |build |compiler |test )*(?:logs?|outputs?|messages)(?: (?:of|from) {_BUILD})?(?: again)?|what was the output(?: of {_BUILD})?", "logs"),
        # settings and permissions
        (r"(?:what|which) (?:are you|is cyxmake|am i|is it|are we|things are|acts are|is) (?:\w+ )?(?:allowed|permitted|forbidden|blocked|always allowed)(?: .*)?|what (?:may|can) (?:you|cyxmake) do without asking(?: .*)?|(?:which|what) permissions .*|are you allowed .*|may you .*|what (?:do|will|would) you (?:ask|need permission)(?: .*)?|when (?:do|will|would) you ask.*|"
         rf"{_SHOW}permissions?(?: rules)?(?: .*)?", "permissions show"),
        (r"(?:what|which) (?:is|value has) (?:the )?(?:setting |value of |value for )*(?P<key>(?:build|cluster|cache|launcher)\.[a-z_]+)(?: set to| now)?|" + _SHOW + r"(?:setting |value of )*(?P<key2>(?:build|cluster|cache|launcher)\.[a-z_]+)", "config get {key}"),
        (r"(?:how many|what number of|which number of) (?:parallel )?(?:jobs|cores|threads|processes) (?:are|is|will|do|does|would|can).*|how parallel .*", "config get build.jobs"),
        (r"(?:what|which) (?:is the )?(?:default )?build type (?:is|are|will|do|does|would|am|set|by default).*|what is the (?:default |current )?build type|(?:which|what) (?:mode|type) (?:is|are|do|will) (?:it|i|we|this|the project) .*(?:built?|builds?)(?: .*)?", "config get build.type"),
        (rf"(?:what|which|where) (?:are |is )?(?:the |my |our |these )?(?:settings?|configuration|options|config)(?: (?:are|is|do|does|come|comes|here|from|now|in|force|effect|use|used|active|set|apply|applies|there|i|we|you|the|this|project))*|(?:how|what) (?:is|am i|are|is cyxmake|is this project) configured|where (?:do|does) (?:the |my |this )?(?:settings?|config(?:uration)?) come from|{_SHOW}(?:settings?|config(?:uration)?|preferences)(?: .*)?", "config show"),
        (r"(?:are|is) (?:the|my|all|these) (?:settings?|config(?:uration)?|cyxmake\.toml)(?: file| files)? (?:ok|valid|right|correct|fine|good|broken|wrong|sound)|(?:check|validate|verify) (?:the |my )?(?:settings?|config(?:uration)?|cyxmake\.toml)(?: file| files)?", "config validate"),
        # the cache
        (r"how (?:big|large|much|full)(?: space| disk| room| memory| storage| is)* (?:is|does|do|are|has|in)? ?(?:the |my |your )?(?:local |build )?caches?(?: (?:take|use|need|now|hold|up|have|grown?|get|takes|uses|be|so|far|is|on|disk|this|machine))*|"
         rf"{_SHOW}(?:size of the )?caches?(?: (?:size|stat(?:us|istics|s)|usage|sizes))?|what is in the cache|how much .* cached?", "cache stats"),
        (rf"(?:is|was|are) {_FILE} (?:in the cache|cached|stored|known|a hit)|what is (?:cached|stored|kept) (?:for|of) {_FILE}|{_SHOW}(?:cache )?entry (?:of|for) {_FILE}", "cache show {file}"),
        # this machine, this project
        (r"(?:which|what|whose) version (?:of |is )?(?:the )?(?!(?:this|that|it|cyxmake|you|is|are|do|does|of|the)\b)(?P<name>[\w+-]+)(?: (?:do|is|does|i|we|have|installed|here|there|this|machine|on|used|use|are|got|it|am|using))*|(?:is|are|have|do|does)(?: (?:i|we|there|this machine|here|the|a))*(?: have| got)?(?: the)?(?: tool| program)? (?P<name2>cmake|ninja|meson|make|gcc|g\+\+|clang|"
         r"clang\+\+|cargo|rustc|go|npm|node|python3?|maven|mvn|gradle|bazel|scons|ccache|sccache|git|docker|java|javac|autoconf|automake|pnpm|yarn|zig|ld|lld|mold)(?: (?:installed|here|there|available|on this machine|present|on here|on my path))*|where is (?P<name3>[\w+-]+)(?: installed)?|how old is (?:my |the )?(?P<name4>cmake|gcc|clang|ninja|make|meson|python3?|cargo|git)", "tools {name}"),
        (rf"(?:which|what) (?:\w+ )?(?:tools|compilers?|programs|build tools|toolchains?|linkers?) (?:are|is|do|does|can|have|has).*|(?:what|which) compilers?(?: and tools)? .*|{_SHOW}(?:installed |available |build )*(?:tools|compilers|programs)(?: .*)?", "tools"),
        (r"(?:which|what) (?:\w+ )?tools? (?:are|is|am i|do i) (?:missing|lacking|not here|not installed).*", "tools --missing"),
        (r"(?:does|do|is|will|are) (?:everything|all|it all|my setup|the setup|this setup|my machine|this machine|things|cyxmake|my environment|all of it|anything)(?: (?:here|set up|still|really|properly))* (?:work|works|ok|okay|fine|good|working|ready|all right|alright|healthy|in order|right|correct|set up|well|broken|wrong)(?: .*)?|(?:is|was) (?:there )?(?:anything|something) (?:wrong|broken|missing) (?:here|with (?:my|this|the) (?:setup|machine|environment|installation))|(?:can|could) (?:i|we) build (?:here|on this machine)(?: at all)?|(?:run|start|ask|call) (?:the )?doctor|doctor|"
         r"(?:check|diagnose|examine|verify) (?:everything|my setup|the setup|my machine|this machine|the environment|my environment|(?:that|if|whether) (?:everything|all|it all|my setup|the setup|things) (?:is |are )?(?:works?|ok|okay|fine|working|ready|set up|in order))(?: .*)?", "doctor"),
        (r"(?:which|what) package managers? .*|" + _SHOW + r"package managers?", "packages managers"),
        (r"(?:is|are) there (?:a |any )?packages? (?:called |named )?(?P<name>[\w.+-]+)|does (?:a |the )?package (?:called |named )?(?P<name2>[\w.+-]+) exist|is (?P<name3>[\w.+-]+) a package", "packages exists {name}"),
        (r"(?:search|look|find)(?: for)? (?:a )?packages? (?:for |about |called |named |with |like |that (?:has|contains|provides) )?(?P<name>[\w.+-]+)|(?:which|what) packages? (?:has|have|contains?|provides?|is|offers?|gives?|holds?)(?: me)? (?P<name2>[\w.+-]+)", "packages search {name}"),
        (r"(?:what|which) (?:kind|sort|type) of (?:a )?(?:project|repository|repo|code|thing) (?:is|do).*|what is (?:this|here|in this|this here)(?: (?:project|repository|repo|folder|directory|code(?:base)?|about))*(?: about)?|(?:what|which) (?:programming )?languages? (?:is|are|does|do|was).*|(?:what|which|how many) targets? (?:is|are|does|do|has|have|can|could|exist|there).*|"
         r"(?:what|which) (?:dependenc(?:y|ies)|librar(?:y|ies)|packages|deps) (?:is|are|does|do|has|have|am i|would|will).*|(?:what|which things?) (?:is|are|am i|do i|does)(?: \w+)? (?:missing|lacking|miss|lack)(?: .*)?|what does (?:this|the|my) (?:project|repository|code) (?:need|depend on|require|consist of|contain|use|build)|how many (?:source )?files .*|"
         rf"{_SHOW}(?:missing |project )*(?:targets|dependencies|languages|facts)(?: .*)?|(?:is|are) (?:any|some|all|the) (?:dependenc(?:y|ies)|librar(?:y|ies)|packages) (?:missing|here|installed|there)", "init --dry-run"),
        (r"(?:is|does) (?:the )?(?:analysis|cache\.json|init)(?: of this project)? (?:still )?(?:up to date|fresh|stale|current|valid|holds?|right|true|old)", "init --check --dry-run"),
        # what would be
        (r"(?:(?:(?:just |only )?(?:show|tell)(?: me)?|explain|see|i (?:only |just )?want to (?:see|know)) )?what (?:a |the |your |cyxmake )*(?P<command>clean|build|test|dbuild)(?:ing|ing up| up)? (?:would|will)(?: actually)? (?:do|delete|remove|run|build|install|change|wipe)(?: here| now)?", "{command} --dry-run"),
        (r"what (?:all )?(?:would|will|gets|is|does)(?: be| get)? (?:done|deleted|removed|cleaned|wiped|lost|gone|thrown away)(?: (?:by|with|when i|if i|if we|when|on|in|through|during))*(?: (?:a |the |run |call |do )*clean(?:ing|ed|ed up)?(?: up)?)?|what (?:all )?(?:would|will)(?: a| the| you| it| i)? ?clean(?:ing)?(?: up)? (?:do|delete|remove|wipe|take away|throw away|touch)(?: here| now)?|(?:what|which files) would (?:you|cyxmake|it) (?:delete|remove|clean|wipe)(?: up)?(?: .*)?|which files would (?:be )?(?:deleted|removed|go|cleaned)(?: .*)?", "clean --dry-run"),
        (r"what (?:all )?(?:would|will|needs to|must|has to|is to|still needs to)(?: be| get)? (?:(?:re)?built|(?:re)?compiled|run|made|done)(?: (?:by|with|when i|if i|in|now|next|the|a|next build|build|if i build|to|for|this|time))*|what (?:would|will)(?: a| the| you| it| i| next)* ?build(?:ing)? (?:do|run|compile|make|start|execute)(?: here| now)?|is (?:everything|it|the project|the build|all) (?:up to date|current)|(?:does|do) (?:anything|something|it|the project|i)(?: still)? (?:need|have) to be (?:re)?built|would (?:anything|something) be (?:re)?built|how would (?:you|it|this|the project) (?:be built|build(?: (?:it|this))?)", "build --dry-run"),
        (r"what (?:would|will)(?: a| the| you| it| i)* ?(?:test(?:ing)?|run(?:ning)? the tests|tests?) (?:do|run|execute|start)(?: here| now)?|(?:what|which) tests? (?:would|will)(?: be)? (?:run|executed|done)|how would (?:you|the project|it) (?:be tested|test(?: (?:it|this))?)", "test --dry-run"),
        (r"what (?:would|will)(?: an?| the| you| it| i)* ?install(?:ing|ation)? (?:do|put|write|copy|install|change)(?: .*)?|where would (?:it|the project) be installed|(?:what|which files) would (?:be |get )?installed", "install --help"),
        (r"what (?:would|will)(?: a| the| you| it| i)* ?dbuild (?:do|run|send|start)(?: .*)?|what (?:would|will) (?:run|be built|be compiled|be sent|be done) (?:on|to) the cluster", "dbuild --dry-run"),
        # this program
        (r"(?:which|what) version(?: of (?:cyxmake|this))?(?: is (?:this|it|cyxmake)| are you| do i have)?|what is (?:your|the|cyxmake'?s) version|" + _SHOW + r"(?:version|cyxmake'?s version|version of cyxmake)|how old are you", "--version"),
        (r"(?:help|help me|what can (?:you|i|cyxmake|we) (?:do|say|ask|type)(?: (?:here|for me|with this|now))?|what (?:commands|are the commands|do you know|do you understand|is there)(?: (?:are there|exist|do you know|can i (?:use|give|say)|there|to do|here))?|which commands .*|how does (?:this|it|cyxmake) work|what is cyxmake|who are you|what are you|how do i (?:use|start|begin|work with)(?: (?:this|it|cyxmake|here))?|" + _SHOW + r"(?:commands|help))(?: please)?", "--help"),
    )
)  # fmt: skip
"""Questions, the first that fits the whole line counts."""

HELP: Final = (
    pattern(r"^(?:what (?:does|do|is|are|did)|explain|describe|tell me (?:about|what)|help(?: me)?(?: with| on| for| about)?|how (?:does|do)|show (?:me )?(?:the )?help (?:of|for|on)|what (?:can|could) i do with) "
            r"(?:the |a |an |cyxmake )*(?:commands? |cyxmake )?[/`'\"]?(?P<command>[a-z]+)[`'\"]?(?: commands?)?(?: (?:do|does|work|mean|means|good for|used for|for|about|is|exactly|here|take|takes|accept|options|use))*$"),
    pattern(r"^(?:what|which) (?:options|flags|arguments|switches) (?:does|do|has|are there for|can i give(?: to)?) (?:the )?(?:command )?[/`'\"]?(?P<command>[a-z]+)[`'\"]?(?: commands?)?(?: (?:have|take|accept|know|understand|has))*$"),
)  # fmt: skip
"""Questions about a command; `command` is its name."""

HOW: Final = pattern(
    r"^(?:how (?:do|can|could|would|should|must|may|to)(?: (?:i|we|you|one|somebody|people))?(?: best| ever)?|(?:what|which) (?:is|would be) (?:the )?(?:right |best |correct )?(?:command|way|option|flag)(?: (?:to|for|that))?|"
    r"what (?:do|must|should|can|would) i (?:type|say|do|write|run|enter|call)(?: (?:to|for|if i want to|in order to))?|(?:can|could|may) (?:i|we|one)|is it possible(?: for me)? to|is there (?:a|any) (?:way|command|option|flag)(?: (?:to|for|that))?|"
    r"(?:which|what) (?:command|option|flag) (?:do i (?:need|use) to|would|does|will|do i use for|makes it)|show me how to|tell me how to|explain (?:to me )?how to|should (?:i|we)|do i (?:need|have) to|am i able to|are we able to|does (?:cyxmake|it|this) (?:know how to|support|let me)|can (?:cyxmake|it|this))(?= )"
)
EXIT_STATUS: Final = pattern(
    r"^(?:what (?:does|is|means|do)|why|explain|meaning of) (?:the |an? )?(?:meaning of )?(?:exit )?(?:status|code|exit)(?: code| status)? (?P<n>\d{1,3})(?: (?:mean|means|for|stand for|about))*$"
)
ASKS: Final = pattern(
    r"^(?:what|why|how|when|where|which|who|whose|whom|is|are|was|were|does|do(?= (?:i|we|you|they)\b)|did|has|have(?= (?:i|we|you|they)\b)|had|will|would|can|could|should|may|might|shall|am|"
    r"why|show|list|tell|explain|describe|print|display|view|help|any idea|do you|"
    r"what's|who's|where's|how's|is there|are there)"
)
"""How a question, or a wish to see something, begins."""

INDIRECT: Final = opening(
    r"(?:(?:can|could|would|will) you )?(?:please )?(?:tell me|show me|explain(?: to me)?|do you know|i wonder|i want to know|i'?d like to know|let me know|any idea|i do not (?:know|understand)|have you any idea|find out|say)(?:,? please,?)? "
    r"(?=(?:why|where|when|which|whether|how (?:many|long|big|much|often|busy)|who|what)\b)(?!what (?:went|clean|build|test))"
)
"""How a question begins that is put into a sentence."""

_ADVERBS: Final = """
right now|now|currently|at the moment|at present|actually|exactly|really|please|just|still|already|here|today|so far|for me|
in this project|in this repository|then|again|anyway|by the way|at all|ever|maybe|perhaps|cyxmake
"""
ADVERBS: Final = pattern(_ADVERBS.replace("\n", ""))
"""Words that change nothing in what is asked."""

_TOPICS: Final = (
    ("workers worker machines nodes", "workers"),
    ("coordinator", "coordinator status"),
    ("coordinators", "discover"),
    ("cluster grid farm queue queued", "status"),
    ("cache cached caches", "cache stats"),
    ("strategy strategies", "explain strategy"),
    ("cycle cycles circular loops", "graph cycles"),
    ("hotspot hotspots expensive costliest", "graph hotspots"),
    (
        "fail failed fails failing failure failures error errors wrong broken broke problem problems red cause caused",
        "explain failure",
    ),
    ("log logs output printed print", "logs"),
    ("setting settings config configuration configured", "config show"),
    ("permission permissions allow allows allowed forbidden permitted", "permissions show"),
    ("audit approved", "audit"),
    ("tool tools compiler compilers toolchain", "tools"),
    ("dependencies dependency libraries language languages targets", "init --dry-run"),
    ("history builds", "history"),
    ("last latest previous", "history -n 1"),
    ("works healthy healthy ready setup", "doctor"),
    ("jobs cores parallel", "config get build.jobs"),
    ("version", "--version"),
)
TOPICS: Final = tuple((frozenset(words.split()), argv) for words, argv in _TOPICS)
"""What a question is about that fits no row: one topic, and no word that is not known."""

_ASKED: Final = """
what which who when where why how is are was were be been being do does did has have had can could will would should may i we
you my our your me us it its this that these those there the a an any some all every each of in on at to for from with by about
and or many much long big large small fast slow often old new good bad use uses used using get gets got need needs take takes took
taken show tell list give see know find look out up so as if not no more most than currently now run runs running ran build building
built compile compiled compiling test tests tested make made work working go going went happen happened happening done say said
project code files file things thing current active there's left still connected online available free busy idle offline fastest slowest quickest busiest draining drained joined
status state hold holds kept store stored size full space disk come comes came exist exists contain contains
called named number total set value time times today yesterday machine one ones me
"""
ASKED_WORDS: Final = frozenset(_ASKED.split())
"""Words of questions that are about nothing by themselves."""
