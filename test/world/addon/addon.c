/* The smallest native addon that does something: add(a, b). */
#include <node_api.h>

static napi_value add(napi_env env, napi_callback_info info) {
    napi_value arguments[2], result;
    size_t count = 2;
    double a = 0, b = 0;
    if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 2) return NULL;
    if (napi_get_value_double(env, arguments[0], &a) != napi_ok || napi_get_value_double(env, arguments[1], &b) != napi_ok) return NULL;
    return napi_create_double(env, a + b, &result) == napi_ok ? result : NULL;
}

static napi_value init(napi_env env, napi_value exports) {
    napi_value function;
    if (napi_create_function(env, "add", NAPI_AUTO_LENGTH, add, NULL, &function) != napi_ok) return NULL;
    return napi_set_named_property(env, exports, "add", function) == napi_ok ? exports : NULL;
}

NAPI_MODULE(addon, init)
