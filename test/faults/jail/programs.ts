/** Pieces that the attacks' programs are made of: quoting, and what every Perl attack starts with. */

/** Secrets look like this, each kind its own. The pattern does not match itself, so no attack finds its own command line. */
export function secretPattern(kind: string): string {
  return `cofferdam-${kind}-[0-9a-f]{16}`;
}

/** A Perl string. */
export function pl(value: string): string {
  return `'${value.replace(/[\\']/g, "\\$&")}'`;
}

/** A shell word. */
export function shell(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** A JavaScript string. */
export function js(value: string): string {
  return JSON.stringify(value);
}

const PRELUDE = `$| = 1;
use POSIX (); use Socket; use Fcntl;
sub won { print "WON\\n"; POSIX::_exit(0) }
sub lost { my $e = "$!"; print "lost: @_ ($e)\\n"; POSIX::_exit(0) }
sub slurp { open(my $f, '<', $_[0]) or return ''; local $/; my $t = <$f>; defined $t ? $t : '' }
sub unixsock { my ($type, $to) = @_; socket(my $s, AF_UNIX, $type, 0) or lost 'socket'; connect($s, pack_sockaddr_un($to)) or lost 'connect'; $s }
sub hears { my ($s, $re) = @_; alarm 2; $SIG{ALRM} = sub { lost 'no answer' }; sysread($s, my $t, 4096); defined $t && $t =~ $re ? won : lost 'other answer' }
`;

/** A Perl attack: `won` and `lost REASON` end it. */
export function perl(body: string): string {
  return `${PRELUDE}${body}\nlost 'end';`;
}

/** Perl: the file holds a secret of this kind. */
export function reads(path: string, kind: string): string {
  return perl(`my $t = slurp(${pl(path)}); $t =~ /${secretPattern(kind)}/ and won; lost 'read';`);
}

/** Perl: writes a line to the end of a file (what it holds stays). */
export function appends(path: string, line: string): string {
  return perl(
    `open(my $f, '>>', ${pl(path)}) or lost 'open'; print $f ${pl(`${line}\n`)} or lost 'write'; close $f or lost 'close'; print "written\\n"; POSIX::_exit(0);`,
  );
}
