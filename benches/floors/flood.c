/* Echo requests as fast as answers come: flood PID ADDRESS COUNT
 *
 * The floor of netns-ping -f: a raw socket of the network of PID, 64 packets under way, sent and received by as many
 * in one call. It keeps no times and no statistics, and looks at nothing but identifier and type of an answer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW = 64, PAYLOAD = 56, IDENT = 0x4242 };

static uint16_t sum(const uint16_t *words, size_t count)
{
    uint32_t total = 0;
    while (count--) total += *words++;
    total = (total >> 16) + (total & 0xffff);
    return ~(total + (total >> 16));
}

static struct { struct icmphdr icmp; char payload[PAYLOAD]; } out[WINDOW];
static struct { char bytes[256]; } in[WINDOW];
static struct mmsghdr sending[WINDOW], receiving[WINDOW];
static struct iovec outs[WINDOW], ins[WINDOW];

int main(int argc, char **argv)
{
    if (argc != 4) errx(2, "usage: flood PID ADDRESS COUNT");
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/net", argv[1]);
    int net = open(path, O_RDONLY | O_CLOEXEC);
    if (net < 0 || setns(net, CLONE_NEWNET) < 0) err(1, "%s", path);
    struct sockaddr_in to = { .sin_family = AF_INET };
    if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) errx(2, "%s: not an address", argv[2]);
    long count = atol(argv[3]), sent = 0, received = 0;

    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0) err(1, "socket");
    struct sock_filter code[] = {
        { BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0 },
        { BPF_LD | BPF_B | BPF_IND, 0, 0, 0 },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ICMP_ECHOREPLY },
        { BPF_LD | BPF_H | BPF_IND, 0, 0, 4 },
        { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, IDENT },
        { BPF_RET | BPF_K, 0, 0, 0xffffffff },
        { BPF_RET | BPF_K, 0, 0, 0 },
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) err(1, "filter");

    for (int i = 0; i < WINDOW; i++) {
        out[i].icmp.type = ICMP_ECHO;
        out[i].icmp.un.echo.id = htons(IDENT);
        outs[i] = (struct iovec){ &out[i], sizeof out[i] };
        sending[i].msg_hdr =
            (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &outs[i], .msg_iovlen = 1 };
        ins[i] = (struct iovec){ &in[i], sizeof in[i] };
        receiving[i].msg_hdr = (struct msghdr){ .msg_iov = &ins[i], .msg_iovlen = 1 };
    }
    while (received < count) {
        long room = WINDOW - (sent - received);
        if (room > count - sent) room = count - sent;
        for (long i = 0; i < room; i++) {
            out[i].icmp.un.echo.sequence = htons((uint16_t)(sent + i + 1));
            out[i].icmp.checksum = 0;
            out[i].icmp.checksum = sum((uint16_t *)&out[i], sizeof out[i] / 2);
        }
        int done = room > 0 ? sendmmsg(fd, sending, room, 0) : 0;
        if (done < 0) err(1, "sendmmsg");
        sent += done;
        int came = recvmmsg(fd, receiving, WINDOW, MSG_DONTWAIT, NULL);
        if (came > 0) {
            received += came;
            continue;
        }
        struct pollfd wait = { fd, POLLIN, 0 };
        if (poll(&wait, 1, 1000) < 1) break;
    }
    printf("%ld packets transmitted, %ld received\n", sent, received);
    return received < count;
}
