/* Floor of `nsenter-rs -t PID -n COMMAND`: open, setns, exec, and nothing else. Usage: enter_net PID COMMAND... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[64];

    if (argc < 3)
        return 2;
    snprintf(path, sizeof path, "/proc/%s/ns/net", argv[1]);
    int netns = open(path, O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET)) {
        perror(path);
        return 1;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
