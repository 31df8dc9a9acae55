#!/usr/bin/perl
# Carries frames between two devices of one network namespace, late or out of order, where the kernel has no netem.
# The lab puts it into a link whose two halves end in that namespace (src/lab/detour.ts). No module outside perl-base.
#
#   slow-link.pl DEVICE DEVICE DELAY_MS REORDER_SHARE
#
# As with netem: each frame waits DELAY_MS, both ways, but a share of them (0 to 1) goes at once and so overtakes.
use strict;
use warnings;
use POSIX ();

use constant {
    AF_PACKET       => 17,
    SOCK_RAW        => 3,
    ETH_P_ALL       => 3,
    SOL_PACKET      => 263,
    PACKET_VNET_HDR => 15,         # keeps unfinished checksums and segments as they are
    SIOCGIFINDEX    => 0x8933,
    OUTGOING        => 4,
    FRAME_MAX       => 128 * 1024,
    QUEUE_MAX       => 10_000,     # frames; what is more is dropped, as on any link
};

@ARGV == 4 or die "usage: slow-link.pl DEVICE DEVICE DELAY_MS REORDER_SHARE\n";
my ($left, $right, $delay_ms, $reorder) = @ARGV;
my $delay = $delay_ms / 1000;

# Time::HiRes is not in perl-base.
my $clock_gettime = (POSIX::uname())[4] eq 'x86_64' ? 228 : 113;

sub now {
    my $spec = pack('q q', 0, 0);
    syscall($clock_gettime, 1, $spec) == 0 or die "clock_gettime: $!\n";
    my ($seconds, $nanoseconds) = unpack('q q', $spec);
    return $seconds + $nanoseconds / 1e9;
}

sub open_device {
    my ($name) = @_;
    socket(my $socket, AF_PACKET, SOCK_RAW, unpack('S', pack('n', ETH_P_ALL))) or die "AF_PACKET: $!\n";
    my $request = pack('a16 x24', $name);
    ioctl($socket, SIOCGIFINDEX, $request) or die "$name: $!\n";
    my $index = unpack('x16 i', $request);
    setsockopt($socket, SOL_PACKET, PACKET_VNET_HDR, pack('i', 1)) or die "PACKET_VNET_HDR: $!\n";
    bind($socket, pack('S n i S C C a8', AF_PACKET, ETH_P_ALL, $index, 0, 0, 0, '')) or die "bind $name: $!\n";
    $socket->blocking(0);
    return $socket;
}

my @ends = (open_device($left), open_device($right));
my @queues = ([], []);    # by the end that sends: [due, frame]

sub drain_queue {
    my ($end) = @_;
    my $queue = $queues[$end];
    my $now = now();
    while (@$queue && $queue->[0][0] <= $now) {
        my $entry = shift @$queue;
        send($ends[$end], $entry->[1], 0);    # a full device drops it
    }
}

sub read_frames {
    my ($end) = @_;
    my $other = 1 - $end;
    for (1 .. 64) {
        my $from = recv($ends[$end], my $frame, FRAME_MAX, 0);
        return unless defined $from && length $frame;
        next if unpack('x10 C', $from) == OUTGOING;
        if ($delay <= 0 || rand() < $reorder) { send($ends[$other], $frame, 0) }
        elsif (@{ $queues[$other] } < QUEUE_MAX) { push @{ $queues[$other] }, [now() + $delay, $frame] }
    }
}

$| = 1;
print "ready\n";
while (1) {
    my $wait;
    for my $queue (@queues) {
        next unless @$queue;
        my $left_over = $queue->[0][0] - now();
        $left_over = 0 if $left_over < 0;
        $wait = $left_over if !defined $wait || $left_over < $wait;
    }
    my $readable = '';
    vec($readable, fileno($_), 1) = 1 for @ends;
    select($readable, undef, undef, $wait);
    for my $end (0, 1) {
        read_frames($end) if vec($readable, fileno($ends[$end]), 1);
        drain_queue($end);
    }
}
