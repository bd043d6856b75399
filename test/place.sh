# shellcheck shell=bash
#
# place.sh
#		A private place to build and run pgcredit in.  Sourced by test/run,
#		test/majors, demo/run and bench/run; run by nobody.
#
# $PLACE is a new folder under $TMPDIR, /tmp or /var/tmp that holds everything a
# run makes and is removed with every process in it when the script ends, also
# by an error or an interrupt:
#
#   pg/    a copy of the distribution's PostgreSQL (its tree is relocatable), so
#          that "make install" never writes into the machine's own
#   src/   a copy of the sources, built there: the checkout stays clean
#   data/ sock/ key log/   the cluster: its own directory, its own socket, no port
#   tmp/ home/             what programs want besides
#
# PostgreSQL refuses to run as root.  As root everything in the place is owned
# and run by the package's user postgres; started by anybody else it is run by
# that user, and sudo serves for apt-get alone.  Programs in the place see none
# of the caller's environment: PGHOST or ~/.psqlrc must not lead them to a
# cluster of the caller's.

place_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1
place_user=""				# who runs things in the place
place_as=()					# command prefix that runs as that user
place_root=()				# command prefix that runs as root, for apt-get
PLACE=""
PG_MAJOR=${PG_MAJOR:-}
pg_bin=""
place_child=""				# session leader of the step that is running
place_patience=30			# seconds that an interrupted step gets to clean up after itself
place_keep=""				# set: leave the place and its server alone at exit
place_dropin=""				# file that keeps Debian from making a cluster
place_dropin_dir=""			# its folder, where we made that too
place_step_at=0
place_lists_fresh=""
place_apt_log=""

# ---------------------------------------------------------------------------
# What the one who waits sees
# ---------------------------------------------------------------------------

place_step()
{
	place_step_at=$SECONDS
	printf '== %s\n' "$*"
}

place_done()
{
	printf '   %s (%d s)\n' "${*:-done}" $((SECONDS - place_step_at))
}

# place_fail WHAT [WHAT-TO-DO]: say it and end the script.  A script that has
# something to say at every end defines place_last_words.
place_fail()
{
	printf '\nFAILED: %s\n' "$1" >&2
	[ -z "${2:-}" ] || printf 'What to do: %s\n' "$2" >&2
	if declare -F place_last_words > /dev/null; then
		place_last_words
	fi
	exit 1
}

# ---------------------------------------------------------------------------
# Cleaning up
# ---------------------------------------------------------------------------

# Ends the running step: the whole session it leads, politely first.
place_end_child()
{
	local n

	[ -n "$place_child" ] || return 0
	kill -TERM -- "-$place_child" 2>/dev/null
	for ((n = 0; n < 10 * place_patience; n++)); do
		kill -0 -- "-$place_child" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$place_child" 2>/dev/null
	wait "$place_child" 2>/dev/null
	place_child=""
}

# Process numbers of programs that live in the place: our copy of PostgreSQL and
# whatever runs in a system unpacked there.  Nobody else can run those files.
place_processes()
{
	local link exe

	for link in /proc/[0-9]*/exe; do
		exe=$(readlink "$link" 2>/dev/null) || continue
		case $exe in
			"$PLACE"/*) link=${link#/proc/}; printf '%s\n' "${link%/exe}" ;;
		esac
	done
}

# Servers first, by an immediate shutdown, which gives their shared memory back;
# then what is left.
place_end_processes()
{
	local file pid n

	find "$PLACE" -xdev -name postmaster.pid 2>/dev/null | while IFS= read -r file; do
		read -r pid < "$file" || continue
		case $(readlink "/proc/$pid/exe" 2>/dev/null) in
			"$PLACE"/*) kill -QUIT "$pid" 2>/dev/null ;;
		esac
	done
	for ((n = 0; n < 100; n++)); do
		[ -n "$(place_processes)" ] || return 0
		sleep 0.1
		[ $n -ne 70 ] || place_processes | xargs -r kill -TERM 2>/dev/null
	done
	place_processes | xargs -r kill -KILL 2>/dev/null
}

place_unmount()
{
	local where

	awk -v p="$PLACE/" 'index($2, p) == 1 { print $2 }' /proc/mounts | sort -r |
		while IFS= read -r where; do
			umount "$where" 2>/dev/null || umount -l "$where"
		done
}

place_remove_dropin()
{
	[ -z "$place_dropin" ] || "${place_root[@]}" rm -f "$place_dropin"
	[ -z "$place_dropin_dir" ] || "${place_root[@]}" rmdir -p --ignore-fail-on-non-empty "$place_dropin_dir" 2>/dev/null
	place_dropin=""
	place_dropin_dir=""
}

place_cleanup()
{
	local status=$?

	trap '' INT TERM HUP
	trap - EXIT
	place_end_child
	place_remove_dropin
	rm -f "$place_apt_log"
	if [ -n "$PLACE" ] && [ -z "$place_keep" ]; then
		place_end_processes
		place_unmount
		# A folder that could not be unmounted must not be emptied.
		rm -rf --one-file-system -- "$PLACE"
	fi
	exit "$status"
}

place_interrupted()
{
	printf '\ninterrupted, cleaning up\n' >&2
	exit "$1"
}

trap place_cleanup EXIT
trap 'place_interrupted 130' INT
trap 'place_interrupted 143' TERM
trap 'place_interrupted 129' HUP

# ---------------------------------------------------------------------------
# Running a step
# ---------------------------------------------------------------------------

# place_run LOG COMMAND...: run it in a session of its own, so that an interrupt
# is ours to handle and nothing it started outlives it.  Output goes to LOG.
# With place_show set (a sed script), lines it prints are shown as they come.
place_run()
{
	local log=$1 status tail_pid=""
	shift

	: > "$log"
	setsid -- "$@" < /dev/null >> "$log" 2>&1 &
	place_child=$!
	if [ -n "${place_show:-}" ]; then
		tail -s 0.2 -n +1 -f --pid="$place_child" "$log" 2>/dev/null | sed -nu "$place_show" &
		tail_pid=$!
	fi
	wait "$place_child"
	status=$?
	[ -z "$tail_pid" ] || wait "$tail_pid"
	place_end_leftovers
	place_child=""
	return "$status"
}

# A step that ended may have left something of its session behind.
place_end_leftovers()
{
	kill -0 -- "-$place_child" 2>/dev/null || return 0
	kill -TERM -- "-$place_child" 2>/dev/null
	sleep 1
	kill -KILL -- "-$place_child" 2>/dev/null
}

# ---------------------------------------------------------------------------
# Packages
# ---------------------------------------------------------------------------

# One line for each package: its name and the test that it is there.
place_probe()
{
	case $1 in
		make | gcc) command -v "$1" ;;
		perl) command -v prove && perl -MJSON::PP -e 1 ;;
		libc6-dev) [ -e /usr/include/stdlib.h ] ;;
		libsodium-dev) [ -e /usr/include/sodium.h ] ;;
		libssl-dev) [ -e /usr/include/openssl/sha.h ] ;;
		golang-go) command -v go ;;
		golang-golang-x-mod-dev) [ -e /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go ] ;;
		libipc-run-perl) perl -MIPC::Run -e 1 ;;
		libtap-parser-sourcehandler-pgtap-perl) command -v pg_prove ;;
		debootstrap) command -v debootstrap || [ -x /usr/sbin/debootstrap ] ;;
		postgresql-server-dev-*) [ -e "/usr/include/postgresql/${1##*-}/server/postgres.h" ] ;;
		postgresql-*-pgaudit) [ -e "/usr/share/postgresql/$PG_MAJOR/extension/pgaudit.control" ] ;;
		postgresql-*-pgtap) [ -e "/usr/share/postgresql/$PG_MAJOR/extension/pgtap.control" ] ;;
		postgresql-*) [ -x "/usr/lib/postgresql/${1##*-}/bin/initdb" ] ;;
		*) dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed ;;
	esac > /dev/null 2>&1
}

# place_apt ARGUMENT...: apt-get, its output kept for the case that it fails.
# In a session of its own and never in a subshell: an interrupt must not break
# dpkg off half way, it is handled when apt-get is done.
place_apt()
{
	[ -n "$place_apt_log" ] || place_apt_log=$(mktemp) || return 1
	"${place_root[@]}" setsid -w env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -q -o DPkg::Lock::Timeout=300 "$@" < /dev/null > "$place_apt_log" 2>&1 && return 0
	tail -n 30 "$place_apt_log" >&2
	return 1
}

place_find_root()
{
	[ "$(id -u)" -ne 0 ] || return 0
	[ ${#place_root[@]} -eq 0 ] || return 0
	command -v sudo > /dev/null || return 1
	sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; } || return 1
	place_root=(sudo --)
}

place_apt_update()
{
	[ -z "$place_lists_fresh" ] || return 0
	place_apt update ||
		place_fail "apt-get update does not work" "look at the messages above; is the network there?"
	place_lists_fresh=yes
}

# The PostgreSQL to work with: the newest supported one that is installed, else
# the one of the distribution.
place_find_major()
{
	local n

	[ -z "$PG_MAJOR" ] || return 0
	for n in 15 16 17 18; do
		[ ! -x "/usr/lib/postgresql/$n/bin/initdb" ] || PG_MAJOR=$n
	done
	[ -z "$PG_MAJOR" ] || return 0
	command -v apt-cache > /dev/null || { PG_MAJOR=15; return 0; }
	place_find_root || { PG_MAJOR=15; return 0; }
	place_apt_update
	PG_MAJOR=$(apt-cache depends postgresql | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	case $PG_MAJOR in
		15 | 16 | 17 | 18) ;;
		*) place_fail "this system's PostgreSQL is version ${PG_MAJOR:-unknown}, pgcredit supports 15 to 18" \
			"run on Debian 12 or 13, or install one of the supported versions" ;;
	esac
}

# A freshly installed server package makes and starts a cluster "main", unless told otherwise.
place_no_main_cluster()
{
	local dir=/etc/postgresql-common/createcluster.d

	case " $* " in
		*" postgresql-$PG_MAJOR "*) ;;
		*) return 0 ;;
	esac
	if [ ! -d "$dir" ]; then
		place_dropin_dir=$dir
		"${place_root[@]}" mkdir -p "$dir" || return 1
	fi
	place_dropin=$dir/pgcredit-$$.conf
	printf 'create_main_cluster = false\n' | "${place_root[@]}" tee "$place_dropin" > /dev/null
}

# place_packages NAME...: install those that are missing.  PG in a name stands
# for the version of PostgreSQL.
place_packages()
{
	local name missing=()

	place_step "packages"
	place_find_major
	for name in "$@"; do
		name=${name/PG/$PG_MAJOR}
		place_probe "$name" || missing+=("$name")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		place_done "nothing is missing"
		return 0
	fi
	printf '   missing: %s\n' "${missing[*]}"
	command -v apt-get > /dev/null ||
		place_fail "there is no apt-get here to install what is missing" \
			"install these (names as in Debian), then run again: ${missing[*]}"
	place_find_root ||
		place_fail "installing needs root or sudo" \
			"let an administrator run: apt-get install --no-install-recommends ${missing[*]}"
	place_apt_update
	place_no_main_cluster "${missing[@]}" || place_fail "cannot write below /etc/postgresql-common"
	place_apt install -y --no-install-recommends "${missing[@]}" ||
		place_fail "apt-get install does not work" "look at the messages above, mend them, run again"
	place_remove_dropin
	for name in "${missing[@]}"; do
		place_probe "$name" || place_fail "package $name is installed, but what it should bring is not there" "apt-get install --reinstall $name"
	done
	place_done "installed"
}

# place_download NAME DIR: unpack a Debian package into DIR without installing it.
place_download()
{
	local log

	mkdir -p "$2" || return 1
	log=$(cd "$2" && apt-get -q download "$1" 2>&1) || {
		place_find_root || place_fail "package $1 cannot be downloaded" "let an administrator run: apt-get update"
		place_apt_update
		log=$(cd "$2" && apt-get -q download "$1" 2>&1)
	} || { printf '%s\n' "$log" | tail -n 5 >&2; place_fail "package $1 cannot be downloaded" "look at the messages above; is the network there?"; }
	dpkg -x "$2/$1"_*.deb "$2" && rm -f "$2/$1"_*.deb
}

# ---------------------------------------------------------------------------
# The place
# ---------------------------------------------------------------------------

place_find_user()
{
	place_user=$(id -un)
	[ "$(id -u)" -eq 0 ] || return 0
	place_user=postgres
	id "$place_user" > /dev/null 2>&1 ||
		place_fail "there is no user postgres to run the server as, and it refuses root" \
			"run this as another user, or: apt-get install --reinstall postgresql-common"
	place_as=(setpriv --reuid="$(id -u postgres)" --regid="$(id -g postgres)" --init-groups --)
}

# place_open MEGABYTES [root]: make the place where there is room, where the user
# may enter and may run programs, and where a socket's path fits its 107 bytes.
# With "root" the place's user is root itself, for what is no server.
place_open()
{
	local dir try free

	place_user=root
	[ "${2:-}" = root ] || place_find_user
	for dir in "${TMPDIR:-}" /tmp /var/tmp; do
		[ -n "$dir" ] && dir=$(cd "$dir" 2>/dev/null && pwd -P) || continue
		[ "${#dir}" -le 40 ] || continue
		free=$(df -Pm "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }')
		[ "${free:-0}" -ge "$1" ] || continue
		try=$(mktemp -d "$dir/pgcredit.XXXXXX" 2>/dev/null) || continue
		PLACE=$try
		chmod 755 "$try"
		printf '#!/bin/sh\nexit 0\n' > "$try/probe"
		chmod 755 "$try/probe"
		if "${place_as[@]}" "$try/probe" 2>/dev/null; then
			rm -f "$try/probe"
			mkdir -p "$PLACE"/{tmp,home,log,sock,src,pg}
			chown -R "$place_user" "$PLACE"
			return 0
		fi
		rm -rf -- "$try"
		PLACE=""
	done
	place_fail "no folder for the run: \$TMPDIR, /tmp and /var/tmp are each too full (need $1 MB), not enterable for user $place_user, or mounted noexec" \
		"set TMPDIR to a short path where that user may run programs"
}

# place_do COMMAND...: run it as the place's user, in the place's environment.
place_do()
{
	"${place_as[@]}" "${place_env[@]}" "$@"
}

# The array place_env is the command prefix for that environment.
place_environment()
{
	pg_bin=$PLACE/pg/usr/lib/postgresql/$PG_MAJOR/bin
	# Background jobs of a script start with SIGINT and SIGQUIT ignored.
	place_env=(env -i --default-signal=INT,QUIT -C "$PLACE/src" PATH="$pg_bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
		HOME="$PLACE/home" TMPDIR="$PLACE/tmp" LANG=C.UTF-8 LC_ALL=C.UTF-8 TERM="${TERM:-dumb}"
		PGHOST="$PLACE/sock" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
		PG_CONFIG="$pg_bin/pg_config" PLACE="$PLACE" PGCREDIT_CHECKOUT="${PGCREDIT_CHECKOUT:-$place_top}")
	[ ! -d "$PLACE/shared-data" ] || place_env+=(PGCREDIT_DATA="$PLACE/shared-data")
}

# place_sources DIR: the files of the checkout as they are now, without what
# was built in it.
place_sources()
{
	local git=(git -C "$place_top" -c "safe.directory=*" -c core.fsmonitor=false) top=""

	mkdir -p "$1" || return 1
	top=$("${git[@]}" rev-parse --show-toplevel 2>/dev/null)
	if [ "$top" = "$place_top" ]; then
		"${git[@]}" ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				[ ! -e "$place_top/$file" ] || printf '%s\0' "$file"
			done | tar -C "$place_top" --null --no-recursion -T - -cf - | tar -C "$1" --no-same-owner -xf -
	else
		tar -C "$place_top" --exclude=.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' --exclude=./results \
			--exclude=./tmp_check --exclude=./output_iso --exclude='./pgcredit--*.sql' -cf - . | tar -C "$1" --no-same-owner -xf -
	fi
}

# Real open data beside the checkout, or where PGCREDIT_DATA says; tests that want it skip without.
place_data()
{
	local from=${PGCREDIT_DATA:-$place_top/../shared/data}

	[ -d "$from" ] && [ -r "$from" ] || return 0
	cp -RL "$from" "$PLACE/shared-data" && chmod -R a+rX "$PLACE/shared-data"
}

# Copies PostgreSQL and the sources into the place.
place_fill()
{
	local lib=/usr/lib/postgresql/$PG_MAJOR share=/usr/share/postgresql/$PG_MAJOR

	mkdir -p "$PLACE/pg$(dirname "$lib")" "$PLACE/pg$(dirname "$share")" "$PLACE/pg/usr/include" &&
		cp -a "$lib" "$PLACE/pg$lib" && cp -a "$share" "$PLACE/pg$share" &&
		ln -s /usr/include/postgresql "$PLACE/pg/usr/include/postgresql" &&
		place_sources "$PLACE/src" && place_data &&
		chown -R "$place_user" "$PLACE/pg" "$PLACE/src" && chmod -R u+rwX "$PLACE/src" ||
		place_fail "cannot copy PostgreSQL and the sources to $PLACE"
	place_environment
}

# place_build NAME [FLAG...]: compile with these flags besides, install into the place's PostgreSQL.
place_build()
{
	local name=$1
	shift

	place_step "$name"
	place_run "$PLACE/log/build" "${place_as[@]}" "${place_env[@]}" \
		make -s -j2 with_llvm=no PG_CONFIG="$pg_bin/pg_config" PG_CFLAGS="$*" all &&
		place_run "$PLACE/log/install" "${place_as[@]}" "${place_env[@]}" \
			make -s with_llvm=no PG_CONFIG="$pg_bin/pg_config" PG_CFLAGS="$*" install || {
		cat "$PLACE"/log/build "$PLACE"/log/install 2>/dev/null | head -n 60 >&2
		place_fail "pgcredit does not build on PostgreSQL $PG_MAJOR" "mend what the compiler says above"
	}
	place_done
}

# place_start [CONFIGURATION-LINE...]: a new cluster with pgcredit preloaded and a key of its own.
place_start()
{
	local line

	place_step "private cluster"
	place_run "$PLACE/log/initdb" "${place_as[@]}" "${place_env[@]}" \
		initdb -A trust -N -E UTF8 -U postgres -D "$PLACE/data" || {
		cat "$PLACE/log/initdb" >&2
		place_fail "initdb does not work"
	}
	od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' > "$PLACE/key"
	echo >> "$PLACE/key"
	chmod 600 "$PLACE/key"
	chown "$place_user" "$PLACE/key"
	{
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$PLACE/sock'" \
			"shared_preload_libraries = 'pgcredit'" "pgcredit.key_file = '$PLACE/key'" \
			"max_connections = 120" "max_worker_processes = 32" "log_line_prefix = '%m [%p] %q%u@%d '"
		for line in "$@"; do
			printf '%s\n' "$line"
		done
	} >> "$PLACE/data/postgresql.conf"
	place_run "$PLACE/log/start" "${place_as[@]}" "${place_env[@]}" \
		pg_ctl -w -t 60 -D "$PLACE/data" -l "$PLACE/log/server" start || {
		tail -n 30 "$PLACE/log/start" "$PLACE/log/server" >&2
		place_fail "the private cluster does not start" "look at the server's log above"
	}
	place_done
}

place_stop()
{
	place_do pg_ctl -s -w -m fast -D "$PLACE/data" stop
}

# Writes PLACE/stop, which ends a place that was kept, and PLACE/psql, a prompt in it.
place_stop_script()
{
	cat > "$PLACE/stop" <<-END
		#!/bin/bash
		# Stops every server of this place and removes the place.
		cd / || exit 1
		find "$PLACE" -xdev -name postmaster.pid 2>/dev/null | while IFS= read -r file; do
		    ${place_as[*]} "$pg_bin/pg_ctl" -s -w -m fast -D "\$(dirname "\$file")" stop
		done
		rm -rf --one-file-system -- "$PLACE" && echo "stopped and removed: $PLACE"
	END
	cat > "$PLACE/psql" <<-END
		#!/bin/bash
		exec ${place_as[*]} env PSQLRC=/dev/null PSQL_HISTORY="$PLACE/home/history" LC_ALL=C.UTF-8 \\
		    PGHOST="$PLACE/sock" PGPORT=5432 PGUSER=postgres PGDATABASE="\${PGDATABASE:-postgres}" "$pg_bin/psql" "\$@"
	END
	chmod 755 "$PLACE/stop" "$PLACE/psql"
}
