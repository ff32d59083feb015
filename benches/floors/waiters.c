/* What the row `ports` looks at: N network namespaces, /run/netns/ports-1 and so on, in each of which this process waits on one
 * port of TCP and one of UDP. It says `ready`, and waits to be killed. Usage: waiters N */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void wait_on(int kind, int port)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = check(socket(AF_INET, kind | SOCK_CLOEXEC, 0), "socket");
    check(bind(fd, (struct sockaddr *)&any, sizeof any), "bind");
    if (kind == SOCK_STREAM)
        check(listen(fd, 8), "listen");
}

int main(int argc, char **argv)
{
    struct rlimit open_files;
    getrlimit(RLIMIT_NOFILE, &open_files);
    open_files.rlim_cur = open_files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &open_files);
    int home = check(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "own network namespace");
    for (int n = 1; argc == 2 && n <= atoi(argv[1]); n++) {
        char name[64];
        snprintf(name, sizeof name, "/run/netns/ports-%d", n);
        check(unshare(CLONE_NEWNET), "unshare");
        close(check(open(name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444), name));
        check(mount("/proc/thread-self/ns/net", name, NULL, MS_BIND, NULL), "mount");
        wait_on(SOCK_STREAM, 64780);
        wait_on(SOCK_DGRAM, 64753);
    }
    /* Nobody is in any of them: the floor would reach one by its process and by its name, and count it twice. */
    check(setns(home, CLONE_NEWNET), "setns");
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
