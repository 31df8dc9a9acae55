#!/usr/bin/perl
# Opens the listening sockets of a node proxy and becomes Node.
#
# Node can listen on an inherited descriptor but cannot set IP_TRANSPARENT, without which nftables `tproxy` hands over no
# connection. Perl can, and is part of every Debian and Ubuntu image (perl-base). No module outside perl-base is used.
#
#   launcher.pl --threads N --spares S [--plain] --listen NAME=PORT ... -- COMMAND ARGUMENT...
#
# One SO_REUSEPORT socket per data thread and port, and of each a row of duplicates: a data thread closes its descriptor
# when it dies, and the thread that replaces it takes the next of the row, with the same accept queue behind it.
# COMMAND finds them in AMBIENT_LISTENERS: {"threads":[{"NAME":[first,spare,...],...},...]}.
# --plain leaves IP_TRANSPARENT out: for a proxy without capture, which then needs no privilege.
use strict;
use warnings;
use Socket qw(:DEFAULT IPPROTO_IPV6 IPV6_V6ONLY IN6ADDR_ANY pack_sockaddr_in6);
use POSIX ();

use constant {
    SO_REUSEPORT     => 15,
    IP_TRANSPARENT   => 19,
    IPV6_TRANSPARENT => 75,
    IPPROTO_IP_LEVEL => 0,
    BACKLOG          => 4096,    # the kernel caps it at net.core.somaxconn
};

sub fail {
    my ($reason, $hint) = @_;
    print STDERR "ambient: cannot set up capture: $reason; $hint\n";
    exit 1;
}

# Perl core cannot raise its own limit; a shell can, and hands it down through exec.
unless (defined $ENV{AMBIENT_LIMITS_RAISED}) {
    $ENV{AMBIENT_LIMITS_RAISED} = 1;
    exec {'/bin/sh'} 'sh', '-c', 'ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$@"', 'sh', $^X, $0, @ARGV
        or fail("/bin/sh: $!", 'a shell is needed to raise the limit of open files');
}
delete $ENV{AMBIENT_LIMITS_RAISED};

my ($threads, $spares, $transparent, @ports) = (1, 1, 1);
while (@ARGV) {
    my $argument = shift @ARGV;
    last if $argument eq '--';
    if    ($argument eq '--threads') { $threads = shift @ARGV }
    elsif ($argument eq '--spares')  { $spares  = shift @ARGV }
    elsif ($argument eq '--plain')   { $transparent = 0 }
    elsif ($argument eq '--listen') {
        my $listen = shift @ARGV // '';
        $listen =~ /^([a-z]+)=(\d{1,5})$/ or fail("--listen '$listen' is not NAME=PORT", 'correct the command line');
        push @ports, [$1, $2];
    }
    else { fail("unknown argument '$argument'", 'correct the command line') }
}
for ($threads, $spares) {
    defined && /^\d{1,4}$/ or fail('--threads and --spares take a number', 'correct the command line');
}
@ARGV or fail('no command after --', 'correct the command line');

$^F = 2**30;    # descriptors up to this number stay open across exec

sub option {
    my ($socket, $level, $option, $what) = @_;
    return 1 if setsockopt($socket, $level, $option, pack('l', 1));
    my $hint = $!{EPERM}
        ? 'run as root, or with CAP_NET_ADMIN in the network namespace'
        : 'the kernel may be too old or lack the option';
    fail("$what: $!", $hint);
}

sub listener {
    my ($family, $port) = @_;
    socket(my $socket, $family, SOCK_STREAM, 0) or return (undef, "socket: $!");
    option($socket, SOL_SOCKET, SO_REUSEADDR, 'SO_REUSEADDR');
    option($socket, SOL_SOCKET, SO_REUSEPORT, 'SO_REUSEPORT');
    my $six = $family == PF_INET6;
    option($socket, IPPROTO_IP_LEVEL, IP_TRANSPARENT, 'IP_TRANSPARENT') if $transparent;
    if ($six) {
        setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, pack('l', 0)) or return (undef, "IPV6_V6ONLY: $!");
        option($socket, IPPROTO_IPV6, IPV6_TRANSPARENT, 'IPV6_TRANSPARENT') if $transparent;
    }
    my $address = $six ? pack_sockaddr_in6($port, IN6ADDR_ANY) : pack_sockaddr_in($port, INADDR_ANY);
    bind($socket, $address) or return (undef, "port $port: $!");
    return ($socket, undef);
}

my @keep;
my $dual_stack = 1;

sub open_listener {
    my ($port) = @_;
    my ($socket, $reason);
    ($socket, $reason) = listener(PF_INET6, $port) if $dual_stack;
    my $taken = $!{EADDRINUSE} || $!{EACCES};
    if (!$socket && !($dual_stack && $taken)) {
        $dual_stack = 0;    # IPv6 is off on this machine
        ($socket, $reason) = listener(PF_INET, $port);
    }
    $socket or fail($reason, 'another program, or a proxy of another user, may hold the port');
    listen($socket, BACKLOG) or fail("port $port: $!", 'another program may hold the port');
    push @keep, $socket;
    return fileno($socket);
}

my @per_thread;
for my $thread (1 .. $threads) {
    my @fields;
    for my $pair (@ports) {
        my ($name, $port) = @$pair;
        my @row = (open_listener($port));
        for (1 .. $spares) {
            my $spare = POSIX::dup($row[0]);
            defined $spare or fail("a spare descriptor: $!", 'raise the limit of open files (ulimit -n)');
            push @row, $spare;
        }
        push @fields, sprintf('"%s":[%s]', $name, join(',', map { $_ + 0 } @row));
    }
    push @per_thread, '{' . join(',', @fields) . '}';
}
$ENV{AMBIENT_LISTENERS} = '{"threads":[' . join(',', @per_thread) . ']}';
exec { $ARGV[0] } @ARGV or fail("$ARGV[0]: $!", 'check the path of Node');
