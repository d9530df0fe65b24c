// ONNX Runtime's C interface, as far as we use it. The library hands out one table of function
// pointers whose order never changes (new functions are appended), so the few that we call are
// declared by position; no header of the runtime is needed to build. Source of order and types:
// microsoft/onnxruntime, include/onnxruntime/core/session/onnxruntime_c_api.h. Every position is
// checked here, again by tests/unit/test_onnx.c against the library, and where the official header
// is installed against that (tests/unit/onnx_official.c).
//
// Functions that give a status give NULL when all is well; a status must be released.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ORT_API_ASKED = 17 }; // a table of 2024; every later library still hands it out

enum ort_code { // those that we tell apart
    ORT_CODE_INVALID_ARGUMENT = 2,
    ORT_CODE_NO_SUCHFILE = 3,
    ORT_CODE_INVALID_PROTOBUF = 7,
    ORT_CODE_INVALID_GRAPH = 10,
};
enum { ORT_LOG_FATAL = 4, ORT_OPTIMIZE_ALL = 99, ORT_DEVICE_ALLOCATOR = 0, ORT_MEMORY_DEFAULT = 0 };
enum { ORT_KIND_TENSOR = 1 };
enum ort_element {
    ORT_ELEMENT_F32 = 1,
    ORT_ELEMENT_U8 = 2,
    ORT_ELEMENT_I64 = 7,
    ORT_ELEMENT_F16 = 10
};

struct ort_status;
struct ort_env;
struct ort_session;
struct ort_session_options;
struct ort_run_options;
struct ort_value;
struct ort_type_info;
struct ort_tensor_info;
struct ort_memory_info;
struct ort_metadata;

// Ours or the runtime's: the first members of OrtAllocator; `version` says how many there are.
struct ort_allocator {
    uint32_t version;
    void *(*alloc)(struct ort_allocator *self, size_t bytes); // NULL: no memory
    void (*free)(struct ort_allocator *self, void *block);
    const struct ort_memory_info *(*info)(const struct ort_allocator *self);
};

// Each gap is named after its first position.
struct ort_api {
    void *gap_0;
    int (*get_error_code)(const struct ort_status *status);
    const char *(*get_error_message)(const struct ort_status *status);
    struct ort_status *(*create_env)(int log_level, const char *log_name, struct ort_env **env);
    void *gap_4[2];
    struct ort_status *(*disable_telemetry_events)(const struct ort_env *env);
    struct ort_status *(*create_session)(const struct ort_env *env, const char *path,
                                         const struct ort_session_options *options,
                                         struct ort_session **session);
    struct ort_status *(*create_session_from_array)(const struct ort_env *env, const void *bytes,
                                                    size_t length,
                                                    const struct ort_session_options *options,
                                                    struct ort_session **session);
    struct ort_status *(*run)(struct ort_session *session, const struct ort_run_options *options,
                              const char *const *input_names, const struct ort_value *const *inputs,
                              size_t input_count, const char *const *output_names,
                              size_t output_count, struct ort_value **outputs);
    struct ort_status *(*create_session_options)(struct ort_session_options **options);
    void *gap_11[6];
    struct ort_status *(*disable_mem_pattern)(struct ort_session_options *options);
    void *gap_18;
    struct ort_status *(*disable_cpu_mem_arena)(struct ort_session_options *options);
    void *gap_20[3];
    struct ort_status *(*set_graph_optimization)(struct ort_session_options *options, int level);
    struct ort_status *(*set_intra_op_threads)(struct ort_session_options *options, int count);
    struct ort_status *(*set_inter_op_threads)(struct ort_session_options *options, int count);
    void *gap_26[4];
    struct ort_status *(*session_input_count)(const struct ort_session *session, size_t *count);
    struct ort_status *(*session_output_count)(const struct ort_session *session, size_t *count);
    void *gap_32;
    struct ort_status *(*session_input_type)(const struct ort_session *session, size_t index,
                                             struct ort_type_info **type);
    struct ort_status *(*session_output_type)(const struct ort_session *session, size_t index,
                                              struct ort_type_info **type);
    void *gap_35;
    struct ort_status *(*session_input_name)(const struct ort_session *session, size_t index,
                                             struct ort_allocator *allocator, char **name);
    struct ort_status *(*session_output_name)(const struct ort_session *session, size_t index,
                                              struct ort_allocator *allocator, char **name);
    void *gap_38[11];
    struct ort_status *(*create_tensor)(const struct ort_memory_info *memory, void *data,
                                        size_t data_bytes, const int64_t *dims, size_t rank,
                                        int element, struct ort_value **value);
    struct ort_status *(*is_tensor)(const struct ort_value *value, int *answer);
    struct ort_status *(*tensor_data)(struct ort_value *value, void **data);
    void *gap_52[3];
    // Gives NULL for what is no tensor; the info belongs to the type.
    struct ort_status *(*type_tensor_info)(const struct ort_type_info *type,
                                           const struct ort_tensor_info **info);
    struct ort_status *(*type_kind)(const struct ort_type_info *type, int *kind);
    void *gap_57[3];
    struct ort_status *(*tensor_element)(const struct ort_tensor_info *info, int *element);
    struct ort_status *(*tensor_rank)(const struct ort_tensor_info *info, size_t *rank);
    struct ort_status *(*tensor_dims)(const struct ort_tensor_info *info, int64_t *dims,
                                      size_t rank);
    void *gap_63[2];
    struct ort_status *(*value_tensor_info)(const struct ort_value *value,
                                            struct ort_tensor_info **info);
    void *gap_66[3];
    struct ort_status *(*create_cpu_memory_info)(int allocator, int memory,
                                                 struct ort_memory_info **info);
    void *gap_70[6];
    struct ort_status *(*allocator_free)(struct ort_allocator *allocator, void *block);
    void *gap_77;
    struct ort_status *(*default_allocator)(struct ort_allocator **allocator); // never released
    void *gap_79[13];
    void (*release_env)(struct ort_env *env);
    void (*release_status)(struct ort_status *status);
    void (*release_memory_info)(struct ort_memory_info *info);
    void (*release_session)(struct ort_session *session);
    void (*release_value)(struct ort_value *value);
    void *gap_97;
    void (*release_type_info)(struct ort_type_info *type);
    void (*release_tensor_info)(struct ort_tensor_info *info);
    void (*release_session_options)(struct ort_session_options *options);
    void *gap_101[10];
    struct ort_status *(*session_metadata)(const struct ort_session *session,
                                           struct ort_metadata **metadata);
    void *gap_112[4];
    // *value is NULL for a key that the file has not.
    struct ort_status *(*metadata_lookup)(const struct ort_metadata *metadata,
                                          struct ort_allocator *allocator, const char *key,
                                          char **value);
    void *gap_117;
    void (*release_metadata)(struct ort_metadata *metadata);
    void *gap_119[11];
    struct ort_status *(*add_session_config)(struct ort_session_options *options, const char *key,
                                             const char *value);
    void *gap_131[45];
    // For all sessions of the environment that ask for it ("session.use_env_allocators").
    struct ort_status *(*register_allocator)(struct ort_env *env, struct ort_allocator *allocator);
    struct ort_status *(*unregister_allocator)(struct ort_env *env,
                                               const struct ort_memory_info *info);
};

struct ort_api_base {
    const struct ort_api *(*get_api)(uint32_t version); // NULL: the library is older
    const char *(*version)(void);
};

// Ours, theirs, position.
#define ORT_API_POSITIONS(X)                                                                       \
    X(get_error_code, GetErrorCode, 1)                                                             \
    X(get_error_message, GetErrorMessage, 2)                                                       \
    X(create_env, CreateEnv, 3)                                                                    \
    X(disable_telemetry_events, DisableTelemetryEvents, 6)                                         \
    X(create_session, CreateSession, 7)                                                            \
    X(create_session_from_array, CreateSessionFromArray, 8)                                        \
    X(run, Run, 9)                                                                                 \
    X(create_session_options, CreateSessionOptions, 10)                                            \
    X(disable_mem_pattern, DisableMemPattern, 17)                                                  \
    X(disable_cpu_mem_arena, DisableCpuMemArena, 19)                                               \
    X(set_graph_optimization, SetSessionGraphOptimizationLevel, 23)                                \
    X(set_intra_op_threads, SetIntraOpNumThreads, 24)                                              \
    X(set_inter_op_threads, SetInterOpNumThreads, 25)                                              \
    X(session_input_count, SessionGetInputCount, 30)                                               \
    X(session_output_count, SessionGetOutputCount, 31)                                             \
    X(session_input_type, SessionGetInputTypeInfo, 33)                                             \
    X(session_output_type, SessionGetOutputTypeInfo, 34)                                           \
    X(session_input_name, SessionGetInputName, 36)                                                 \
    X(session_output_name, SessionGetOutputName, 37)                                               \
    X(create_tensor, CreateTensorWithDataAsOrtValue, 49)                                           \
    X(is_tensor, IsTensor, 50)                                                                     \
    X(tensor_data, GetTensorMutableData, 51)                                                       \
    X(type_tensor_info, CastTypeInfoToTensorInfo, 55)                                              \
    X(type_kind, GetOnnxTypeFromTypeInfo, 56)                                                      \
    X(tensor_element, GetTensorElementType, 60)                                                    \
    X(tensor_rank, GetDimensionsCount, 61)                                                         \
    X(tensor_dims, GetDimensions, 62)                                                              \
    X(value_tensor_info, GetTensorTypeAndShape, 65)                                                \
    X(create_cpu_memory_info, CreateCpuMemoryInfo, 69)                                             \
    X(allocator_free, AllocatorFree, 76)                                                           \
    X(default_allocator, GetAllocatorWithDefaultOptions, 78)                                       \
    X(release_env, ReleaseEnv, 92)                                                                 \
    X(release_status, ReleaseStatus, 93)                                                           \
    X(release_memory_info, ReleaseMemoryInfo, 94)                                                  \
    X(release_session, ReleaseSession, 95)                                                         \
    X(release_value, ReleaseValue, 96)                                                             \
    X(release_type_info, ReleaseTypeInfo, 98)                                                      \
    X(release_tensor_info, ReleaseTensorTypeAndShapeInfo, 99)                                      \
    X(release_session_options, ReleaseSessionOptions, 100)                                         \
    X(session_metadata, SessionGetModelMetadata, 111)                                              \
    X(metadata_lookup, ModelMetadataLookupCustomMetadataMap, 116)                                  \
    X(release_metadata, ReleaseModelMetadata, 118)                                                 \
    X(add_session_config, AddSessionConfigEntry, 130)                                              \
    X(register_allocator, RegisterAllocator, 176)                                                  \
    X(unregister_allocator, UnregisterAllocator, 177)

#define ORT_CHECK_POSITION(ours, theirs, position)                                                 \
    _Static_assert(offsetof(struct ort_api, ours) == (position) * sizeof(void *),                  \
                   #theirs " is not at its position");
ORT_API_POSITIONS(ORT_CHECK_POSITION)
#undef ORT_CHECK_POSITION
