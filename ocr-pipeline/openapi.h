// docs/openapi.json, as it is served under /openapi.json.
#pragma once

extern const char openapi_json[];
