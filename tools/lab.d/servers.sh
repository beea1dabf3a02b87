# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's web servers: one nginx (a master and a worker) a backend, private in every path. Sourced by tools/lab and
# the system tests.
#
#   GET /              the server's name, node1 for backend1
#   GET /address       the client's address as the server sees it
#   GET /file/NAME     a file made by `tools/lab file SIZE`, the same on every backend
#   GET /slow/NAME     the same at 256 KiB/s, for connections that must last
#   GET /status/NNN    answers with that status (200, 204, 404, 500, 503)
#   PUT /upload/NAME   kept in backendN/upload/NAME below the lab's directory

# Port 443 as well, where the lab has a certificate (tls.crt, tls.key).
server_tls() {
	[ -e "$LAB_DIR/tls.crt" ] || return 0
	printf '\t\tlisten 443 ssl backlog=4096;\n\t\tssl_certificate %s/tls.crt;\n\t\tssl_certificate_key %s/tls.key;\n' "$LAB_DIR" "$LAB_DIR"
}

server_config() {
	local i=$1 dir=$LAB_DIR/backend$1

	cat <<CONF
user root;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log warn;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 65;
	keepalive_requests 1000000;
	default_type text/plain;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	client_max_body_size 0;
	server {
		listen 80 backlog=4096;
		listen [::]:80 ipv6only=on backlog=4096;
$(server_tls)
		location / { return 200 "node$i\n"; }
		location = /address { return 200 "\$remote_addr\n"; }
		location /file/ { alias $LAB_DIR/files/; }
		location /slow/ { alias $LAB_DIR/files/; limit_rate 256k; }
		location /upload/ { alias $dir/upload/; dav_methods PUT; }
		location = /status/200 { return 200; }
		location = /status/204 { return 204; }
		location = /status/404 { return 404; }
		location = /status/500 { return 500; }
		location = /status/503 { return 503; }
	}
}
CONF
}

# Starts backend $1's server; it listens when this returns.
server_start() {
	local i=$1 dir=$LAB_DIR/backend$1

	mkdir -p "$dir/upload" "$LAB_DIR/files"
	server_config "$i" >"$dir/nginx.conf"
	if ! lab_in "backend$i" nginx -c "$dir/nginx.conf" -e "$dir/error.log" 2>"$dir/start.log"; then
		lab_warn "backend$i: nginx does not start:"
		tail -n 5 "$dir/start.log" >&2
		return 1
	fi
}

# A plain stop: nginx closes its listening sockets and its connections at once, the kernel answers with RST.
server_stop() {
	local pid

	pid=$(cat "$LAB_DIR/backend$1/nginx.pid" 2>/dev/null) || return 0
	end_process "$pid"
}

server_is_running() {
	local pid

	pid=$(cat "$LAB_DIR/backend$1/nginx.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# A file of SIZE (as head -c reads it: 10k, 100M) with random bytes, made once; prints its name.
server_file() {
	local path=$LAB_DIR/files/$1

	mkdir -p "${path%/*}"
	if [ ! -e "$path" ]; then
		head -c "$1" /dev/urandom >"$path.$$" || { rm -f "$path.$$"; return 1; }
		mv "$path.$$" "$path"
	fi
	printf '%s\n' "$1"
}

sha256_of() {
	sha256sum <"$1" | cut -d ' ' -f 1
}
