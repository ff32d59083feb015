/* Floor of `netns-ls --ports` on many namespaces: finds them by /proc and /run/netns, asks in each for the sockets that wait, of
 * those kinds only that /proc/net/sockstat counts, and for the chains of nf_tables, which say whether anything is forwarded;
 * then looks which process has the sockets. Prints a line for each. Usage: ports */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 20000, LISTEN = 1 << 10, CLOSED = 1 << 7, TCPDIAG_BOTH_FAMILIES = 18 };

static struct netns { ino_t inode; int fd; char name[32]; } all[MOST];
static struct waiting { unsigned inode; int netns, is_udp, family, port, pid; char address[INET6_ADDRSTRLEN]; } found[MOST];
static int count, found_count, is_udp;
static char buffer[1 << 16];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void add(int directory, const char *path, const char *name, int must_be_new)
{
    struct stat stat;
    if (count == MOST || (must_be_new && fstatat(directory, path, &stat, 0)))
        return;
    for (int n = 0; must_be_new && n < count; n++)
        if (all[n].inode == stat.st_ino)
            return;
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat))
        return;
    all[count] = (struct netns){ .inode = stat.st_ino, .fd = fd };
    snprintf(all[count++].name, sizeof all[0].name, "%s", name);
}

static int is_number(const char *name)
{
    return name[0] >= '0' && name[0] <= '9';
}

static void each(const char *directory, const char *below, int must_be_new)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[300];
        snprintf(path, sizeof path, "%s%s", entry->d_name, below);
        if (entry->d_name[0] != '.' && (!must_be_new || is_number(entry->d_name)))
            add(dirfd(dir), path, entry->d_name, must_be_new);
    }
    if (dir)
        closedir(dir);
}

static void socket_of(int netns, struct inet_diag_msg *message)
{
    struct waiting *one = &found[found_count];
    if (found_count == MOST)
        return;
    *one = (struct waiting){ message->idiag_inode, netns, is_udp, message->idiag_family, ntohs(message->id.idiag_sport), 0, "" };
    inet_ntop(one->family, message->id.idiag_src, one->address, sizeof one->address);
    found_count++;
}

static void dump(int socket, int type, const void *fixed, int length, int netns)
{
    char request[128] = { 0 };
    struct nlmsghdr *header = (void *)request;
    *header = (struct nlmsghdr){ .nlmsg_len = 16 + length, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP };
    memcpy(request + 16, fixed, length);
    if (send(socket, request, header->nlmsg_len, 0) < 0)
        die("send");
    for (;;) {
        int got = recv(socket, buffer, sizeof buffer, 0);
        if (got <= 0)
            die("recv");
        for (struct nlmsghdr *m = (void *)buffer; NLMSG_OK(m, got); m = NLMSG_NEXT(m, got)) {
            if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
                return;
            if (netns >= 0)
                socket_of(netns, NLMSG_DATA(m));
        }
    }
}

static int counts(const char *file, const char *front)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    int got = fd < 0 ? 0 : read(fd, buffer, 4095);
    buffer[got > 0 ? got : 0] = 0;
    close(fd);
    int used = 0;
    for (const char *kind = front; *kind; kind += strlen(kind) + 1) {
        char *line = strstr(buffer, kind);
        used = used << 1 | (line && atoi(line + strlen(kind)) > 0);
    }
    return used;
}

static void look_into(int netns)
{
    int four = counts("/proc/thread-self/net/sockstat", "TCP: inuse \0UDP: inuse \0");
    int six = counts("/proc/thread-self/net/sockstat6", "TCP6: inuse \0UDP6: inuse \0");
    struct inet_diag_req tcp = { .idiag_states = LISTEN };
    struct inet_diag_req_v2 udp = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP, .idiag_states = CLOSED };
    struct nfgenmsg chains = { 0 };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    is_udp = 0;
    if ((four | six) & 2)
        dump(fd, TCPDIAG_BOTH_FAMILIES, &tcp, sizeof tcp, netns);
    is_udp = 1;
    if (four & 1)
        dump(fd, SOCK_DIAG_BY_FAMILY, &udp, sizeof udp, netns);
    udp.sdiag_family = AF_INET6;
    if (six & 1)
        dump(fd, SOCK_DIAG_BY_FAMILY, &udp, sizeof udp, netns);
    close(fd);
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    dump(fd, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, &chains, sizeof chains, -1);
    close(fd);
}

static int by_inode(const void *one, const void *other)
{
    unsigned a = ((const struct waiting *)one)->inode, b = ((const struct waiting *)other)->inode;
    return a < b ? -1 : a > b;
}

static void holders_in(int pid, DIR *dir)
{
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char link[64] = { 0 };
        struct waiting wanted;
        if (readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1) < 0 || sscanf(link, "socket:[%u]", &wanted.inode) != 1)
            continue;
        struct waiting *one = bsearch(&wanted, found, found_count, sizeof wanted, by_inode);
        if (one)
            one->pid = pid;
    }
    if (dir)
        closedir(dir);
}

int main(void)
{
    struct rlimit open_files;
    getrlimit(RLIMIT_NOFILE, &open_files);
    open_files.rlim_cur = open_files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &open_files);
    add(AT_FDCWD, "/proc/self/ns/net", "host", 0);
    each("/proc", "/ns/net", 1);
    each("/run/netns", "", 0);
    for (int n = 0; n < count; n++)
        if (!setns(all[n].fd, CLONE_NEWNET))
            look_into(n);
    qsort(found, found_count, sizeof found[0], by_inode);
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        char path[300];
        snprintf(path, sizeof path, "/proc/%s/fd", entry->d_name);
        if (is_number(entry->d_name))
            holders_in(atoi(entry->d_name), opendir(path));
    }
    for (int n = 0; n < found_count; n++)
        printf("%s %s:%d/%s %d\n", all[found[n].netns].name, found[n].address, found[n].port, found[n].is_udp ? "udp" : "tcp",
               found[n].pid);
    return 0;
}
