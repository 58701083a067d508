/* The yardstick: the least that any program can do between two TAPs.
 *
 *     loop INTERFACE INTERFACE
 *
 * makes both TAPs, with the virtio-net header and all offloads, and carries frames between them:
 * one read and one write per frame, and nothing else. What a switch adds to this is its own doing;
 * what this takes is the kernel's.
 */

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    LONGEST = 1 << 17,
    BATCH = 64,             /* frames of one side before it is the other's turn */
    VNET_HEADER = 10,
    OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
};

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = VNET_HEADER, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0
        || ioctl(fd, TUNSETOFFLOAD, OFFLOADS) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

int main(int count, char **words)
{
    static char frame[LONGEST];
    int taps[2], poller = epoll_create1(0);
    if (count != 3) {
        fputs("usage: loop INTERFACE INTERFACE\n", stderr);
        return 2;
    }
    for (int each = 0; each < 2; each++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = each};
        taps[each] = open_tap(words[1 + each]);
        epoll_ctl(poller, EPOLL_CTL_ADD, taps[each], &event);
    }
    for (;;) {
        struct epoll_event ready[2];
        int events = epoll_wait(poller, ready, 2, -1);
        for (int each = 0; each < events; each++) {
            int from = taps[ready[each].data.u32], to = taps[!ready[each].data.u32];
            for (int frames = 0; frames < BATCH; frames++) {
                ssize_t length = read(from, frame, sizeof frame);
                if (length < 0)
                    break;
                if (write(to, frame, length) < 0)
                    continue;   /* full or down: the frame is lost, as on a wire */
            }
        }
    }
}
