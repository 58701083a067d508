/* What getaddrinfo(3) of the C library that this is linked with says about a name.
 *
 *     resolve NAME [4|6]
 *
 * Prints each address once on a line of its own. Exit status: 0 found, 1 there is no such name or
 * no such address, 2 nobody could say.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *each;
    char text[INET6_ADDRSTRLEN];

    if (count > 2)
        hints.ai_family = words[2][0] == '6' ? AF_INET6 : AF_INET;
    int said = getaddrinfo(words[1], NULL, &hints, &found);
    if (said) {
        fprintf(stderr, "%s\n", gai_strerror(said));
        return said == EAI_AGAIN || said == EAI_SYSTEM ? 2 : 1;
    }
    for (each = found; each; each = each->ai_next) {
        getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        puts(text);
    }
    return 0;
}
