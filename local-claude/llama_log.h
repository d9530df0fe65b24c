// What a llama-server says in its log of where it listens; builds differ.
#pragma once

// The port in "listening on http://127.0.0.1:40123", "server is listening on http://127.0.0.1:8080
// - starting the main loop" and the older "HTTP server is listening, hostname: 127.0.0.1, port:
// 8080". 0: it is no such line.
unsigned llama_log_port(const char *line);
