# A standalone program: its first argument is the command, its lines come from standard input.
use strict;
use warnings;

my $usage = "usage: line-stats count|longest < FILE\n";
my $command = shift @ARGV;

if (!defined $command) {
    print STDERR $usage;
    exit 1;
}
if ($command eq '--help' || $command eq '-h' || (@ARGV && ($ARGV[0] eq '--help' || $ARGV[0] eq '-h'))) {
    print $usage;
    exit 0;
}
if ($command eq 'count') {
    my ($lines, $words, $bytes) = (0, 0, 0);
    while (my $line = <STDIN>) {
        chomp $line;
        $lines++;
        $words += () = $line =~ /\S+/g;
        $bytes += length $line;
    }
    print "$lines lines, $words words, $bytes bytes\n";
} elsif ($command eq 'longest') {
    my $longest = '';
    while (my $line = <STDIN>) {
        chomp $line;
        $longest = $line if length $line > length $longest;
    }
    print "$longest\n";
} else {
    print STDERR "Unknown command: $command\n$usage";
    exit 1;
}
