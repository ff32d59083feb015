/* Floor of `cpid NAME`: one question to the engine, read until the PID is there. With a FILE it is that of
 * `netns-link NAME`: binds the network namespace of the PID on the file. Usage: inspect SOCKET NAME [FILE] */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int bind_netns(const char *pid, const char *file)
{
    char netns[64];

    snprintf(netns, sizeof netns, "/proc/%s/ns/net", pid);
    int made = open(file, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (made < 0 || close(made) || mount(netns, file, "none", MS_BIND, NULL))
        return fail(file);
    return 0;
}

int main(int argc, char **argv)
{
    static char answer[1 << 18], question[512];
    struct sockaddr_un engine = {.sun_family = AF_UNIX};

    if (argc < 3 || argc > 4 || strlen(argv[1]) >= sizeof engine.sun_path)
        return 2;
    strcpy(engine.sun_path, argv[1]);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&engine, sizeof engine))
        return fail(argv[1]);

    /* An HTTP/1.0 client is never answered in chunks, so the number cannot be cut by a chunk's head. */
    int asked = snprintf(question, sizeof question, "GET /containers/%s/json HTTP/1.0\r\n\r\n", argv[2]);
    if (asked >= (int)sizeof question || write(sock, question, asked) != asked)
        return fail("write");

    for (size_t have = 0; have < sizeof answer - 1;) {
        ssize_t got = read(sock, answer + have, sizeof answer - 1 - have);
        if (got <= 0)
            break;
        have += got;
        char *pid = strstr(answer, "\"Pid\":");
        if (!pid)
            continue;
        pid += strlen("\"Pid\":");
        size_t digits = strspn(pid, "0123456789");
        if (pid[digits]) { /* the byte after the number is there: the number is whole */
            if (argc == 4) {
                pid[digits] = 0;
                return bind_netns(pid, argv[3]);
            }
            pid[digits] = '\n';
            return write(1, pid, digits + 1) < 0;
        }
    }
    fprintf(stderr, "no PID in the answer: %.*s\n", (int)strcspn(answer, "\r\n"), answer);
    return 1;
}
