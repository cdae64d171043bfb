/* Sockets: calls whose arguments are wrong, so that nothing depends on a network. */
#include "calls.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    struct sockaddr_in inet = {AF_INET, htons(80), {htonl(0x7f000001)}};
    struct sockaddr_in6 inet6 = {AF_INET6, htons(8080), 0, IN6ADDR_LOOPBACK_INIT, 3};
    struct sockaddr_un path = {AF_UNIX, "/run/socket"}, hidden = {AF_UNIX, "\0name"};
    int value = 1, length = sizeof inet;
    struct linger linger = {1, 5};
    struct timeval time = {2, 3};
    struct iovec parts[2] = {{"first", 5}, {"second", 6}};
    struct msghdr message = {.msg_name = &inet, .msg_namelen = sizeof inet, .msg_iov = parts, .msg_iovlen = 2, .msg_flags = MSG_DONTWAIT};
    struct mmsghdr messages[2] = {{message, 0}, {message, 0}};
    sys(socket, 99, SOCK_STREAM, 0);
    sys(socket, AF_INET, 99, IPPROTO_TCP);
    sys(socket, AF_UNIX, 9 | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sys(socket, AF_INET6, SOCK_DGRAM, 9999);
    sys(socketpair, AF_INET, SOCK_STREAM, 0, NULL);
    sys(socketpair, 99, SOCK_DGRAM | SOCK_CLOEXEC, 0, BAD);
    sys(bind, -1, &inet, sizeof inet);
    sys(bind, -1, &inet6, sizeof inet6);
    sys(connect, -1, &path, sizeof path);
    sys(connect, -1, &hidden, 7);
    sys(connect, -1, &inet, 2);
    sys(connect, -1, NULL, 16);
    sys(connect, -1, BAD, 16);
    sys(listen, -1, 5);
    sys(accept, -1, NULL, NULL);
    sys(accept, -1, &inet, &length);
    sys(accept4, -1, &inet, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    sys(getsockname, -1, &inet, &length);
    sys(getpeername, -1, BAD, BAD);
    sys(sendto, -1, "text", 4, MSG_DONTWAIT | MSG_NOSIGNAL, &inet, sizeof inet);
    sys(sendto, -1, "text", 4, 0, NULL, 0);
    sys(recvfrom, -1, &value, 4, MSG_PEEK | MSG_TRUNC, &inet, &length);
    sys(recvfrom, -1, NULL, 0, 0x80000000, NULL, NULL);
    sys(sendmsg, -1, &message, MSG_OOB);
    sys(sendmsg, -1, NULL, 0);
    sys(recvmsg, -1, &message, MSG_WAITALL);
    sys(sendmmsg, -1, messages, 2, MSG_MORE);
    sys(recvmmsg, -1, messages, 2, 0, NULL);
    sys(shutdown, -1, SHUT_RD);
    sys(shutdown, -1, SHUT_RDWR);
    sys(shutdown, -1, 9);
    sys(setsockopt, -1, SOL_SOCKET, SO_REUSEADDR, &value, 4);
    sys(setsockopt, -1, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    sys(setsockopt, -1, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    sys(setsockopt, -1, IPPROTO_TCP, TCP_NODELAY, &value, 4);
    sys(setsockopt, -1, IPPROTO_IP, IP_TTL, &value, 4);
    sys(setsockopt, -1, 99, 98, "opt", 3);
    sys(getsockopt, -1, SOL_SOCKET, SO_ERROR, &value, &length);
    sys(getsockopt, -1, SOL_SOCKET, 999, NULL, NULL);
    return 0;
}
