/* Floor of `netns-ls` on many namespaces: finds them by /proc and /run/netns, dumps links and addresses in each, asks by which
 * number the host knows it, and prints the host's ends of the cables that lead to a link that is there. Usage: map */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_NETNS = 20000, MOST_LINKS = 8 };

static struct netns { ino_t inode; int fd, links; unsigned index[MOST_LINKS]; } all[MOST_NETNS];
static struct cable { char name[16]; unsigned far; int number; } cables[MOST_NETNS];
static int count, cable_count, numbers[MOST_NETNS];
static char buffer[1 << 16];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void add(int directory, const char *path, int must_be_new)
{
    struct stat stat;
    if (count == MOST_NETNS || (must_be_new && fstatat(directory, path, &stat, 0)))
        return;
    for (int n = 0; must_be_new && n < count; n++)
        if (all[n].inode == stat.st_ino)
            return;
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat))
        return;
    all[count++] = (struct netns){ .inode = stat.st_ino, .fd = fd };
}

static void each(const char *directory, const char *below, int must_be_new)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[300];
        snprintf(path, sizeof path, "%s%s", entry->d_name, below);
        if (entry->d_name[0] != '.' && (!must_be_new || (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')))
            add(dirfd(dir), path, must_be_new);
    }
    if (dir)
        closedir(dir);
}

static void link_of(struct netns *netns, struct nlmsghdr *message)
{
    struct ifinfomsg *info = NLMSG_DATA(message);
    struct cable cable = { .number = -1 };
    int left = IFLA_PAYLOAD(message);
    if (netns->links < MOST_LINKS)
        netns->index[netns->links++] = info->ifi_index;
    for (struct rtattr *a = IFLA_RTA(info); netns == all && RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == IFLA_IFNAME)
            snprintf(cable.name, sizeof cable.name, "%s", (char *)RTA_DATA(a));
        else if (a->rta_type == IFLA_LINK)
            cable.far = *(unsigned *)RTA_DATA(a);
        else if (a->rta_type == IFLA_LINK_NETNSID)
            cable.number = *(int *)RTA_DATA(a);
    }
    if (cable.number >= 0 && cable_count < MOST_NETNS)
        cables[cable_count++] = cable;
}

static void dump(int socket, int type, const void *fixed, int length, struct netns *netns)
{
    char request[64] = { 0 };
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
            if (m->nlmsg_type == RTM_NEWLINK)
                link_of(netns, m);
        }
    }
}

static int number_of(int socket, int fd)
{
    struct { struct nlmsghdr header; struct rtgenmsg message; char gap[3]; struct rtattr attribute; int fd; } request = {
        { sizeof request, RTM_GETNSID, NLM_F_REQUEST, 1, 0 }, { 0 }, { 0 }, { 8, NETNSA_FD }, fd };
    send(socket, &request, sizeof request, 0);
    int got = recv(socket, buffer, sizeof buffer, 0);
    return got >= 28 ? *(int *)(buffer + 24) : -1;
}

int main(void)
{
    struct rlimit open_files;
    getrlimit(RLIMIT_NOFILE, &open_files);
    open_files.rlim_cur = open_files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &open_files);
    add(AT_FDCWD, "/proc/self/ns/net", 0);
    each("/proc", "/ns/net", 1);
    each("/run/netns", "", 0);
    struct { struct ifinfomsg info; struct rtattr attribute; unsigned mask; } links = { { 0 }, { 8, IFLA_EXT_MASK }, RTEXT_FILTER_SKIP_STATS };
    struct ifaddrmsg addresses = { 0 };
    for (int n = 0; n < count; n++) {
        if (setns(all[n].fd, CLONE_NEWNET))
            continue;
        int one = 1, socket_there = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        setsockopt(socket_there, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
        dump(socket_there, RTM_GETLINK, &links, sizeof links, &all[n]);
        dump(socket_there, RTM_GETADDR, &addresses, sizeof addresses, &all[n]);
        close(socket_there);
    }
    setns(all[0].fd, CLONE_NEWNET);
    int here = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    for (int n = 1; n < count; n++) {
        int number = number_of(here, all[n].fd);
        if (number >= 0 && number < MOST_NETNS)
            numbers[number] = n;
    }
    for (int c = 0; c < cable_count; c++) {
        struct netns *there = &all[cables[c].number < MOST_NETNS ? numbers[cables[c].number] : 0];
        for (int l = 0; l < there->links; l++)
            if (there != all && there->index[l] == cables[c].far)
                puts(cables[c].name);
    }
    return 0;
}
