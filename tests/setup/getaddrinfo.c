/* What a container's own C library makes of a name, for tests that compare it.
 *
 *   getaddrinfo NAME…     a line for each: its addresses, or ERROR NUMBER
 *   getaddrinfo           says "ready" and stays, as the process of a container does
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void look_up(const char *name)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *all, *one;
    char text[INET6_ADDRSTRLEN];
    int error = getaddrinfo(name, NULL, &hints, &all);

    if (error) {
        printf("ERROR %d\n", error);
        return;
    }
    for (one = all; one; one = one->ai_next) {
        const void *address = one->ai_family == AF_INET
            ? (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
            : (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
        printf("%s ", inet_ntop(one->ai_family, address, text, sizeof text));
    }
    printf("\n");
    freeaddrinfo(all);
}

int main(int count, char **words)
{
    if (count == 1) {
        puts("ready");
        fflush(stdout);
        for (;;)
            pause();
    }
    for (int i = 1; i < count; i++)
        look_up(words[i]);
    return 0;
}
