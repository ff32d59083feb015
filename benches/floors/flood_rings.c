/* Echo requests as fast as answers come, through packet rings: flood_rings PID ADDRESS COUNT
 *
 * What AF_PACKET with a ring for each direction would give netns-ping -f: the same work as flood.c, without a copy and a
 * system call for each batch that comes. It must build Ethernet and IP itself, so it takes the container's address and its
 * neighbour's MAC as they are now, and goes past the container's routes and firewall: it would reach what a ping from
 * there does not. The kernel there has each answer, too, and looks for whom it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 64, PAYLOAD = 56, IDENT = 0x4242, FRAME = 256, FRAMES = 256, BLOCK = 4096 };

struct frame {
    struct ether_header ethernet;
    struct iphdr ip;
    struct icmphdr icmp;
    char payload[PAYLOAD];
} __attribute__((packed));

static uint16_t sum(const void *bytes, size_t length)
{
    uint32_t total = 0;
    uint16_t word;
    for (size_t at = 0; at < length; at += 2) {
        memcpy(&word, (const char *)bytes + at, 2);
        total += word;
    }
    total = (total >> 16) + (total & 0xffff);
    return ~(total + (total >> 16));
}

/* The name of the link that has `own`. */
static char *link_of(struct in_addr own)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0) err(1, "getifaddrs");
    for (struct ifaddrs *one = all; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET
            && ((struct sockaddr_in *)one->ifa_addr)->sin_addr.s_addr == own.s_addr)
            return one->ifa_name;
    errx(1, "no link has the address that packets come from");
}

/* From whom to whom, as the kernel has it. */
static int fill(struct frame *out, const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) }, own;
    socklen_t length = sizeof own;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) errx(2, "%s: not an address", address);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (void *)&to, sizeof to) < 0) err(1, "connect");
    if (getsockname(fd, (void *)&own, &length) < 0) err(1, "getsockname");
    struct arpreq arp = { .arp_pa = { AF_INET } };
    struct ifreq link = { 0 };
    snprintf(link.ifr_name, sizeof link.ifr_name, "%s", link_of(own.sin_addr));
    memcpy(arp.arp_dev, link.ifr_name, sizeof arp.arp_dev);
    memcpy(&arp.arp_pa, &to, sizeof to);
    if (ioctl(fd, SIOCGARP, &arp) < 0) err(1, "%s has no MAC yet", address);
    if (ioctl(fd, SIOCGIFHWADDR, &link) < 0) err(1, "%s", link.ifr_name);
    close(fd);
    memcpy(out->ethernet.ether_dhost, arp.arp_ha.sa_data, ETH_ALEN);
    memcpy(out->ethernet.ether_shost, link.ifr_hwaddr.sa_data, ETH_ALEN);
    out->ethernet.ether_type = htons(ETHERTYPE_IP);
    out->ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_ICMP };
    out->ip.tot_len = htons(sizeof *out - sizeof out->ethernet);
    out->ip.saddr = own.sin_addr.s_addr;
    out->ip.daddr = to.sin_addr.s_addr;
    out->ip.check = sum(&out->ip, sizeof out->ip);
    out->icmp.type = ICMP_ECHO;
    out->icmp.un.echo.id = htons(IDENT);
    return if_nametoindex(link.ifr_name);
}

static char *rings(int fd)
{
    int version = TPACKET_V2, on = 1;
    struct tpacket_req ring = { BLOCK, FRAMES * FRAME / BLOCK, FRAME, FRAMES };
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0) err(1, "PACKET_VERSION");
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0) err(1, "PACKET_QDISC_BYPASS");
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0) err(1, "PACKET_RX_RING");
    if (setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring) < 0) err(1, "PACKET_TX_RING");
    char *at = mmap(NULL, 2 * FRAMES * FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) err(1, "mmap");
    return at;
}

int main(int argc, char **argv)
{
    if (argc != 4) errx(2, "usage: flood_rings PID ADDRESS COUNT");
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", argv[1]);
    int net = open(path, O_RDONLY | O_CLOEXEC);
    if (net < 0 || setns(net, CLONE_NEWNET) < 0) err(1, "%s", path);
    struct frame out = { 0 };
    int index = fill(&out, argv[2]);
    long count = atol(argv[3]), sent = 0, received = 0;

    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0) err(1, "socket");
    /* Ethernet, IP without options, ICMP: protocol, type, identifier. */
    struct sock_filter code[] = {
        { BPF_LD | BPF_B | BPF_ABS, 0, 0, 23 },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 5, IPPROTO_ICMP },
        { BPF_LD | BPF_B | BPF_ABS, 0, 0, 34 },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ICMP_ECHOREPLY },
        { BPF_LD | BPF_H | BPF_ABS, 0, 0, 38 },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, IDENT },
        { BPF_RET | BPF_K, 0, 0, 0xffffffff },
        { BPF_RET | BPF_K, 0, 0, 0 },
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) err(1, "filter");
    char *in_ring = rings(fd), *out_ring = in_ring + FRAMES * FRAME;
    struct sockaddr_ll link = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = index };
    if (bind(fd, (void *)&link, sizeof link) < 0) err(1, "bind");

    long taken = 0;
    while (received < count) {
        long room = WINDOW - (sent - received), made = 0;
        if (room > count - sent) room = count - sent;
        for (; made < room; made++) {
            struct tpacket2_hdr *slot = (void *)(out_ring + (sent + made) % FRAMES * FRAME);
            if (__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE) break;
            out.icmp.un.echo.sequence = htons((uint16_t)(sent + made + 1));
            out.icmp.checksum = 0;
            out.icmp.checksum = sum(&out.icmp, sizeof out.icmp + PAYLOAD);
            memcpy((char *)slot + TPACKET_ALIGN(sizeof *slot), &out, sizeof out);
            slot->tp_len = sizeof out;
            __atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        }
        if (made > 0 && send(fd, NULL, 0, MSG_DONTWAIT) < 0) err(1, "send");
        sent += made;
        long before = received;
        for (;;) {
            struct tpacket2_hdr *slot = (void *)(in_ring + taken % FRAMES * FRAME);
            if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) break;
            __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
            taken++;
            received++;
        }
        if (received > before) continue;
        struct pollfd wait = { fd, POLLIN, 0 };
        if (poll(&wait, 1, 1000) < 1) break;
    }
    printf("%ld packets transmitted, %ld received\n", sent, received);
    return received < count;
}
