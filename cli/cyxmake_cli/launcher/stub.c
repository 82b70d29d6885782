/* Stands in for a compiler: asks the resident agent for plain compiles, becomes the real compiler
 * for everything else.
 *
 * Knows nothing of clusters. client.py does the same in Python; protocol.py describes the bytes.
 * It never says anything of its own while there is a compiler that can speak.
 *
 * CYX_HOME (the agent's folder), CYX_PYTHON (who runs the agent) and CYX_CONFIG (where the user's
 * settings are) are defined when it is built.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define MARKER ".cyxmake-launcher"
#define SILENCE_SECONDS 30 /* the agent says every few seconds that it is alive */
#define RESTART_SECONDS 10 /* an agent that cannot start is not tried more often */
#define MOST_DEPTH 8
#define NO_ANSWER -1
#define LOCAL -2

extern char **environ;

struct header {
    char magic[4];
    uint32_t length, kind, argc, envc, umask, flags;
};

static const char *const probes[] = {"conftest", "CMakeFiles/CMakeTmp", "CMakeScratch",
    "CompilerId", "meson-private", "_configtest", NULL};
static const char *const local_only[] = {"-", "-E", "-M", "-MM", "-###", "-fsyntax-only", NULL};

static int is_probe(const char *text) {
    for (int i = 0; probes[i]; i++)
        if (strstr(text, probes[i]))
            return 1;
    return 0;
}

/* Tells whether the agent should be asked at all. */
static int may_be_compile(char **argv) {
    int compiles = 0;
    for (int i = 1; argv[i]; i++) {
        compiles |= !strcmp(argv[i], "-c") || !strcmp(argv[i], "-S");
        for (int j = 0; local_only[j]; j++)
            if (!strcmp(argv[i], local_only[j]))
                return 0;
        if (is_probe(argv[i]))
            return 0;
    }
    return compiles;
}

static int is_masquerade(const char *folder, size_t length) {
    char path[PATH_MAX];
    struct stat state;
    if (snprintf(path, sizeof path, "%.*s/" MARKER, (int)length, folder) >= (int)sizeof path)
        return 0;
    return lstat(path, &state) == 0;
}

/* Takes our folders out of PATH, so that neither we nor the compiler ever meet a stub there, and
 * returns the first program of that name in what is left, as execvp would find it. */
static char *search_path(const char *name) {
    static char found[PATH_MAX];
    struct stat state;
    const char *path = getenv("PATH"), *from = path ? path : "/bin:/usr/bin";
    char *kept = malloc(strlen(from) + 2), *end = kept, candidate[PATH_MAX];
    for (size_t length; kept; from += length + 1) {
        length = strcspn(from, ":");
        if (length == 0 || !is_masquerade(from, length)) {
            int size = snprintf(candidate, sizeof candidate, "%.*s/%s", length ? (int)length : 1,
                length ? from : ".", name);
            if (!*found && size < (int)sizeof candidate && stat(candidate, &state) == 0 &&
                S_ISREG(state.st_mode) && access(candidate, X_OK) == 0)
                strcpy(found, candidate);
            end += sprintf(end, "%.*s:", (int)length, from);
        }
        if (!from[length])
            break;
    }
    if (path && end > kept) {
        end[-1] = 0;
        setenv("PATH", kept, 1);
    }
    free(kept);
    return *found ? found : NULL;
}

/* Returns the working directory by the name that compilers give it. */
static const char *directory(char *buffer, size_t size) {
    const char *named = getenv("PWD");
    struct stat one, other;
    if (named && *named == '/' && stat(named, &one) == 0 && stat(".", &other) == 0 &&
        one.st_ino == other.st_ino && one.st_dev == other.st_dev)
        return named;
    return getcwd(buffer, size);
}

/* Starts an agent for those who come after us; the lock that it inherits keeps it the only one. */
static void start_agent(const char *folder) {
    char path[PATH_MAX];
    struct stat state;
    int size = snprintf(path, sizeof path, "%s/agent.lock", folder);
    if (getenv("CYXMAKE_LAUNCHER_NO_START") || size >= (int)sizeof path)
        return;
    int lock = open(path, O_RDWR | O_CREAT, 0600);
    if (lock < 0)
        return;
    int late = flock(lock, LOCK_EX | LOCK_NB) != 0 || fstat(lock, &state) != 0 ||
               (state.st_size > 0 && time(NULL) - state.st_mtime < RESTART_SECONDS);
    if (!late && pwrite(lock, "s", 1, 0) == 1) {
        pid_t child = fork();
        if (child == 0) {
            if (setsid() < 0 || fork() != 0)
                _exit(0);
            snprintf(path, sizeof path, "%d", lock);
            execl(CYX_PYTHON, CYX_PYTHON, "-P", "-m", "cyxmake_cli.launcher.agent", folder, path,
                (char *)NULL);
            _exit(127);
        }
        if (child > 0)
            waitpid(child, NULL, 0);
    }
    close(lock);
}

/* Goes there and comes back, since a long path does not fit into a socket's address. */
static int connect_to(int fd, const char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "agent.sock"};
    int here = open(".", O_RDONLY | O_CLOEXEC);
    if (here < 0)
        return -1;
    int failed = chdir(folder) || connect(fd, (struct sockaddr *)&address, sizeof address);
    int problem = errno;
    if (fchdir(here) != 0)
        _exit(127); /* nothing that we start would be where it should be */
    close(here);
    errno = problem;
    return failed;
}

static int is_ours(int fd) {
#ifdef SO_PEERCRED
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
#else
    uid_t user;
    gid_t group;
    return getpeereid(fd, &user, &group) == 0 && user == geteuid();
#endif
}

/* Sends, reads or writes everything; 0 when it could. */
static int all(char how, int fd, char *data, size_t size) {
    while (size) {
        ssize_t done = how == 's'   ? send(fd, data, size, MSG_NOSIGNAL)
                       : how == 'r' ? recv(fd, data, size, 0)
                                    : write(fd, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        data += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Adds a list of texts, or only measures it; returns where the next one goes. */
static size_t add(char *data, size_t at, char *const *texts, uint32_t *count) {
    for (*count = 0; texts[*count]; ++*count) {
        size_t size = strlen(texts[*count]) + 1;
        if (data)
            memcpy(data + at, texts[*count], size);
        at += size;
    }
    return at;
}

static int send_request(int fd, const char *cwd, const char *compiler, char **argv) {
    struct header head = {.magic = {'C', 'Y', 'X', '2'}, .flags = isatty(2) ? 1 : 0};
    char *const places[] = {(char *)cwd, (char *)compiler, NULL}, *data = NULL;
    uint32_t two;
    head.umask = umask(0);
    umask(head.umask);
    for (int pass = 0; pass < 2; pass++) {
        size_t size = add(data, sizeof head, places, &two);
        size = add(data, add(data, size, argv, &head.argc), environ, &head.envc);
        head.length = (uint32_t)(size - sizeof head);
        if (!data && !(data = malloc(size)))
            return -1;
    }
    memcpy(data, &head, sizeof head);
    int result = all('s', fd, data, sizeof head + head.length);
    free(data);
    return result;
}

/* Returns a command with the options of an answer behind the compiler's name; NULL when it cannot. */
static char **with_options(int fd, char **argv) {
    uint32_t length, argc = 0, added = 0;
    if (all('r', fd, (char *)&length, sizeof length) != 0 || length == 0)
        return NULL;
    char *texts = malloc(length);
    if (!texts || all('r', fd, texts, length) != 0 || texts[length - 1])
        return NULL;
    for (uint32_t i = 0; i < length; i++)
        added += !texts[i];
    while (argv[argc])
        argc++;
    char **made = malloc((argc + added + 1) * sizeof *made);
    if (!made)
        return NULL;
    made[0] = argv[0];
    for (uint32_t i = 1; i <= added; i++, texts += strlen(texts) + 1)
        made[i] = texts;
    memcpy(made + 1 + added, argv + 1, argc * sizeof *made); /* with the NULL at its end */
    return made;
}

/* Returns the compiler's exit status, its words written; LOCAL when it is left to us, perhaps with
 * options that are added to argv; or NO_ANSWER. */
static int receive_answer(int fd, char ***argv) {
    char what;
    uint32_t sizes[3];
    do {
        if (all('r', fd, &what, 1) != 0)
            return NO_ANSWER;
    } while (what == 'K');
    if (what == 'R')
        return LOCAL;
    if (what == 'M') {
        char **made = with_options(fd, *argv);
        *argv = made ? made : *argv;
        return made ? LOCAL : NO_ANSWER;
    }
    if (what != 'D' || all('r', fd, (char *)sizes, sizeof sizes) != 0)
        return NO_ANSWER;
    char *text = malloc((size_t)sizes[1] + sizes[2] + 1);
    if (!text || all('r', fd, text, (size_t)sizes[1] + sizes[2]) != 0)
        return NO_ANSWER;
    all('w', 1, text, sizes[1]);
    all('w', 2, text + sizes[1], sizes[2]);
    return (int)sizes[0];
}

static int ask(const char *compiler, char ***argv) {
    char buffer[PATH_MAX], folder[PATH_MAX];
    const char *cwd = directory(buffer, sizeof buffer);
    const char *cache = getenv("CYXMAKE_CACHE_DIR");
    struct timeval patience = {.tv_sec = SILENCE_SECONDS};
    int size = cache && *cache == '/' ? snprintf(folder, sizeof folder, "%s/launcher", cache)
                                      : snprintf(folder, sizeof folder, "%s", CYX_HOME);
    if (cwd && is_probe(cwd))
        return LOCAL;
    if (!cwd || size >= (int)sizeof folder)
        return NO_ANSWER;
    int low = socket(AF_UNIX, SOCK_STREAM, 0); /* if it fails, so does all that follows */
    int fd = fcntl(low, F_DUPFD_CLOEXEC, 3);   /* a closed stream's number must stay closed */
    close(low);
    fcntl(fd, F_SETFL, O_NONBLOCK); /* a full queue means: do it yourself */
    int result = NO_ANSWER;
    if (connect_to(fd, folder) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            start_agent(folder);
    } else if (is_ours(fd)) {
        fcntl(fd, F_SETFL, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (send_request(fd, cwd, compiler, *argv) == 0)
            result = receive_answer(fd, argv);
    }
    close(fd);
    return result;
}

/* Tells whether there are settings that may ask for options: then Python has to read them. */
static int may_have_settings(void) {
    char path[PATH_MAX], buffer[PATH_MAX];
    struct stat state;
    const char *wanted = getenv("CYXMAKE_CACHE_REMAP_PATHS"), *folder = getenv("CYXMAKE_CONFIG_DIR");
    const char *places[] = {directory(buffer, sizeof buffer), getenv("CYXMAKE_ROOT")};
    if (wanted && *wanted)
        return 1;
    snprintf(path, sizeof path, "%s/config.toml", folder && *folder ? folder : CYX_CONFIG);
    if (stat(path, &state) == 0)
        return 1;
    for (int i = 0; i < 2; i++) {
        for (size_t length = places[i] ? strlen(places[i]) : 0; places[i];) {
            int size = snprintf(path, sizeof path, "%.*s/cyxmake.toml", (int)length, places[i]);
            if (size < (int)sizeof path && stat(path, &state) == 0)
                return 1;
            if (length == 0)
                break;
            while (length > 0 && places[i][--length] != '/')
                ;
        }
    }
    return 0;
}

/* Does what we are called for in Python, which knows settings. Returns if that cannot be. */
static void become_python(int argc, char **argv, const char *guard) {
    char **made = malloc(((size_t)argc + 5) * sizeof *made);
    if (!made)
        return;
    char *first[] = {CYX_PYTHON, "-P", "-m", "cyxmake_cli.launcher"};
    memcpy(made, first, sizeof first);
    memcpy(made + 4, argv, ((size_t)argc + 1) * sizeof *made);
    if (guard)
        setenv("CYXMAKE_LAUNCHER_DEPTH", guard, 1);
    else
        unsetenv("CYXMAKE_LAUNCHER_DEPTH");
    execv(CYX_PYTHON, made);
}

static int fail(const char *name, const char *why, int status) {
    fprintf(stderr, "cyxmake: %s: %s\n", name, why);
    return status;
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    const char *disabled = getenv("CYXMAKE_LAUNCHER_DISABLE");
    const char *guard = getenv("CYXMAKE_LAUNCHER_DEPTH");
    int depth = guard ? atoi(guard) : 0;
    char number[16], **called = argv;
    int count = argc;
    if (strncmp(name, "cyxmake-cc", 10) == 0) { /* named as a launcher: the compiler comes next */
        if (argc < 2)
            return fail("usage", "cyxmake-cc COMPILER [ARGUMENTS]", 2);
        argv++;
        slash = strrchr(argv[0], '/');
        if (slash && is_masquerade(argv[0], (size_t)(slash - argv[0])))
            argv[0] = (char *)slash + 1;
        name = argv[0];
    }
    char *compiler = search_path(name); /* always, for it cleans PATH as well */
    if (strchr(name, '/'))
        compiler = (char *)name;
    if (!compiler)
        return fail(name, "not found", 127);
    if (argv[0] != name)
        argv[0] = compiler; /* called by the path of our link: the compiler must not see that */
    if (depth >= MOST_DEPTH)
        return fail(name, "is a compiler that calls itself", 126);
    snprintf(number, sizeof number, "%d", depth + 1);
    setenv("CYXMAKE_LAUNCHER_DEPTH", number, 1);
    if (depth == 0 && !(disabled && *disabled) && may_be_compile(argv)) {
        int status = ask(compiler, &argv);
        if (status >= 0)
            return status;
        if (status == NO_ANSWER && may_have_settings())
            become_python(count, called, guard);
    }
    execvp(compiler, argv); /* as make would, a script without its first line included */
    int problem = errno;
    return fail(name, strerror(problem), problem == ENOENT ? 127 : 126);
}
