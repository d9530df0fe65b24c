#include "chat/messages.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// JSON below is written with ' for ", so that it can be read.
static char *quoted(const char *text) {
    char *copy = mem_strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

static bool parse(struct messages_request *request, const char *text, struct err *err) {
    char *body = quoted(text);
    bool ok = messages_parse(request, body, strlen(body), err);
    mem_free(body);
    return ok;
}

// A body whose other members do not matter.
static void parse_messages(struct messages_request *request, const char *messages) {
    struct err err = {0};
    char *body = mem_printf("{'model':'m','max_tokens':9,'messages':%s}", messages);
    if (!parse(request, body, &err))
        fail_msg("%s: %s", messages, err.text);
    mem_free(body);
}

static char *dumped(const json_t *json) {
    struct buf out;
    buf_init(&out, 1 << 20);
    if (json)
        assert_true(json_write(&out, json));
    char *text = mem_strdup(buf_text(&out));
    buf_fini(&out);
    return text;
}

static void check(const char *what, const json_t *json, const char *expected) {
    char *text = dumped(json), *wanted = quoted(expected);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s:\n got    %s\n wanted %s", what, text, wanted);
    mem_free(text);
    mem_free(wanted);
}

#define U(content) "{'role':'user','content':" content "}"
#define A(content) "{'role':'assistant','content':" content "}"
#define S(content) "{'role':'system','content':" content "}"
#define TEXT(text) "{'type':'text','text':'" text "'}"
#define NOTED(text) TEXT("<system-reminder>\\n" text "\\n</system-reminder>")
#define CALL(id) "{'type':'tool_use','id':'" id "','name':'Read','input':{'path':'/" id "'}}"
#define RESULT(id, text) "{'type':'tool_result','tool_use_id':'" id "','content':'" text "'}"
#define GOT(id, text) "{'type':'tool_result','tool_use_id':'" id "','content':[" TEXT(text) "]}"
#define LOST(id)                                                                                   \
    "{'type':'tool_result','tool_use_id':'" id                                                     \
    "','content':[" TEXT("The result of this call is missing.") "],'is_error':true}"
#define PNG "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'AAAA'}}"
#define TOOL(name) "{'name':'" name "','description':'d','input_schema':{'type':'object'}}"

static void test_turns(void **state) {
    static const struct {
        const char *what, *messages, *expected;
    } cases[] = {
        {"a string", "[" U("'hi'") "]", "[" U("[" TEXT("hi") "]") "]"},
        {"blocks, cache_control",
         "[" U("[{'type':'text','text':'hi','cache_control':{'type':'ephemeral'}}]") "]",
         "[" U("[" TEXT("hi") "]") "]"},
        {"one role in a row", "[" U("'a'") "," U("[" TEXT("b") "]") "]",
         "[" U("[" TEXT("a") "," TEXT("b") "]") "]"},
        {"nothing said in some turns",
         "[" U("''") "," A("[]") "," U("[" TEXT("") "," TEXT("a") "]") "]",
         "[" U("[" TEXT("(no content)") "]") "," A("[" TEXT("(no content)") "]") "," U(
             "[" TEXT("a") "]") "]"},
        {"the assistant begins", "[" A("'hello'") "," U("'hi'") "]",
         "[" U("[" TEXT("(no content)") "]") "," A("[" TEXT("hello") "]") "," U(
             "[" TEXT("hi") "]") "]"},
        {"a system message behind the first prompt goes in front of it",
         "[" U("[" TEXT("memory") "," TEXT("prompt") "]") "," S("'agents'") "," A("'ok'") "]",
         "[" U("[" NOTED("agents") "," TEXT("memory") "," TEXT("prompt") "]") "," A(
             "[" TEXT("ok") "]") "]"},
        {"what it says later in the first turn stays where it is",
         "[" U("'prompt'") "," S("'agents'") "," S("'skills'") "," U("'more'") "," S("'date'") "]",
         "[" U("[" NOTED("agents") "," NOTED("skills") "," TEXT("prompt") "," TEXT(
             "more") "," NOTED("date") "]") "]"},
        {"and in a later turn", "[" U("'a'") "," A("'b'") "," U("'c'") "," S("'s'") "]",
         "[" U("[" TEXT("a") "]") "," A("[" TEXT("b") "]") "," U(
             "[" TEXT("c") "," NOTED("s") "]") "]"},
        {"a later one stays in its own turn, in front of what is said behind it",
         "[" U("'one'") "," A("'ok'") "," S("[" TEXT("x") "," TEXT("y") "]") "," U("'two'") "]",
         "[" U("[" TEXT("one") "]") "," A("[" TEXT("ok") "]") "," U(
             "[" NOTED("x\\n\\ny") "," TEXT("two") "]") "]"},
        {"a reminder is not wrapped again", "[" S("'<system-reminder>x</system-reminder>'") "]",
         "[" U("[" TEXT("<system-reminder>x</system-reminder>") "]") "]"},
        {"notes of tokens left",
         "[" U("[" TEXT("a") "," TEXT("<total_tokens>1 left</total_tokens>\\n") "]") "," S(
             "'s\\n<total_tokens>7</total_tokens>\\n'") "]",
         "[" U("[" NOTED("s") "," TEXT("a") "]") "]"},
        {"but not what a user says of them", "[" U("'see <total_tokens>1</total_tokens>'") "]",
         "[" U("[" TEXT("see <total_tokens>1</total_tokens>") "]") "]"},
        {"a NUL and half a character",
         "[" U("'a\\u0000b\\ud83dc\\ude00 \\ud83d\\ude00 \\\\u0000'") "]",
         "[" U("[" TEXT("a\xef\xbf\xbd"
                        "b\xef\xbf\xbd"
                        "c\xef\xbf\xbd \xf0\x9f\x98\x80 \\\\u0000") "]") "]"},
        {"thinking stays with the assistant, and only what can be read of it",
         "[" U("[{'type':'thinking','thinking':'t'}," TEXT("a") "]") "," A(
             "[{'type':'redacted_thinking','data':'x'},{'type':'thinking','thinking':''},"
             "{'type':'thinking','thinking':'t','signature':'s'}]") "]",
         "[" U("[" TEXT("a") "]") "," A(
             "[{'type':'thinking','thinking':'t','signature':'s'}," TEXT("(no content)") "]") "]"},
        {"images", "[" U("[" PNG ",{'type':'image','source':{'type':'url','url':'u'}}]") "]",
         "[" U("[" PNG ",{'type':'image','source':{'type':'url','url':'u'}}]") "]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        parse_messages(&request, cases[i].messages);
        check(cases[i].what, json_object_get(request.root, "messages"), cases[i].expected);
        messages_fini(&request);
    }
}

static void test_results(void **state) {
    static const struct {
        const char *what, *before, *after, *expected; // the calls' turn, what follows, what comes
    } cases[] = {
        {"results in the order of the calls", A("[" CALL("a") "," CALL("b") "]"),
         "," U("[" RESULT("b", "2") "," RESULT("a", "1") "]"),
         "," U("[" GOT("a", "1") "," GOT("b", "2") "]")},
        {"results first, then the rest as it came", A("[" CALL("a") "]"),
         "," U("[" TEXT("x") "," RESULT("a", "1") "," TEXT("y") "]") "," S("'s'"),
         "," U("[" GOT("a", "1") "," TEXT("x") "," TEXT("y") "," NOTED("s") "]")},
        {"results in several messages", A("[" CALL("a") "," CALL("b") "]"),
         "," U("[" RESULT("b", "2") "]") "," U("[" RESULT("a", "1") "]"),
         "," U("[" GOT("a", "1") "," GOT("b", "2") "]")},
        {"a result is missing", A("[" CALL("a") "," CALL("b") "]"),
         "," U("[" RESULT("b", "2") "," TEXT("stop") "]"),
         "," U("[" LOST("a") "," GOT("b", "2") "," TEXT("stop") "]")},
        {"the conversation ends in a call", A("[" CALL("a") "]"), "", "," U("[" LOST("a") "]")},
        {"two calls with one id", A("[" CALL("a") "," CALL("a") "]"),
         "," U("[" RESULT("a", "1") "," RESULT("a", "2") "]"),
         "," U("[" GOT("a", "1") "," GOT("a", "2") "]")},
        {"a result too many", A("[" CALL("a") "]"),
         "," U("[" RESULT("a", "1") "," RESULT("a", "2") "," RESULT("z", "3") "]"),
         "," U("[" GOT("a", "1") "," TEXT("[Result of a tool call that is not in this conversation (a):]") "," TEXT(
             "2") "," TEXT("[Result of a tool call that is not in this conversation (z):]") "," TEXT("3") "]")},
        {"a failed one, an image, nothing", A("[" CALL("a") "," CALL("b") "," CALL("c") "]"),
         "," U("[{'type':'tool_result','tool_use_id':'a','is_error':true,'content':'no'},"
               "{'type':'tool_result','tool_use_id':'b','content':[" PNG "]},"
               "{'type':'tool_result','tool_use_id':'c'}]"),
         "," U("[{'type':'tool_result','tool_use_id':'a','content':[" TEXT(
             "no") "],'is_error':true},"
                   "{'type':'tool_result','tool_use_id':'b','content':[" PNG "]},"
                   "{'type':'tool_result','tool_use_id':'c','content':[]}]")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        char *given = mem_printf("[" U("'q'") ",%s%s]", cases[i].before, cases[i].after);
        char *wanted =
            mem_printf("[" U("[" TEXT("q") "]") ",%s%s]", cases[i].before, cases[i].expected);
        parse_messages(&request, given);
        check(cases[i].what, json_object_get(request.root, "messages"), wanted);
        messages_fini(&request);
        mem_free(given);
        mem_free(wanted);
    }
}

static void test_words(void **state) {
    static const struct {
        const char *block, *expected; // by a user, all its texts
    } cases[] = {
        {"{'type':'document','title':'T','source':{'type':'text','data':'body'}}",
         "[document: T]\nbody"},
        {"{'type':'document','title':'T','source':{'type':'base64','media_type':'application/pdf',"
         "'data':'AAAA'}}",
         "[A document was left out, since this model cannot read it: T, application/pdf]"},
        {"{'type':'document','source':{'type':'url','url':'u'}}",
         "[A document was left out, since this model cannot read it: url, u]"},
        {"{'type':'document','source':{'type':'content','content':[{'type':'text','text':'in'}]}}",
         "[document]|in"},
        {"{'type':'search_result','title':'T','source':'u','content':[{'type':'text','text':'x'}]}",
         "[search result: T, u]|x"},
        {"{'type':'server_tool_use','id':'s','name':'web_search','input':{'query':'q'}}",
         "[The tool web_search was called on another server with: {\"query\":\"q\"}]"},
        {"{'type':'web_search_tool_result','tool_use_id':'s','content':[{'type':'web_search_result',"
         "'title':'T','url':'u','encrypted_content':'E'}]}",
         "[web_search_tool_result]|title: T\nurl: u"},
        {"{'type':'web_search_tool_result','tool_use_id':'s','content':{'type':"
         "'web_search_tool_result_error','error_code':'max_uses_exceeded'}}",
         "[web_search_tool_result]|error_code: max_uses_exceeded"},
        {"{'type':'web_fetch_tool_result','content':{'type':'web_fetch_result','url':'u','content':"
         "{'type':'document','source':{'type':'text','data':'page'}}}}",
         "[web_fetch_tool_result]|url: u|[document]\npage"},
        {"{'type':'bash_code_execution_tool_result','content':{'stdout':'o','return_code':1}}",
         "[bash_code_execution_tool_result]|stdout: o\nreturn_code: 1"},
        {"{'type':'mcp_tool_result','content':[{'type':'text','text':'r'}]}",
         "[mcp_tool_result]|r"},
        {"{'type':'tool_reference','tool_name':'Grep'}", "[The tool Grep can be called now.]"},
        {"{'type':'container_upload','file_id':'f'}",
         "[A file was uploaded where this model cannot read it: f]"},
        {"{'type':'compaction','content':'so far'}", "so far"},
        {"{'type':'image','source':{'type':'file','file_id':'f'}}",
         "[An image was left out: file f]"},
        {"{'type':'tool_use','id':'i','name':'N','input':{}}", "[The tool N was called with: {}]"},
        {"{'type':'hologram'}", "[A block of type hologram was left out.]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        char *messages = mem_printf("[" U("[%s]") "]", cases[i].block);
        parse_messages(&request, messages);
        assert_true(request.dropped > 0);
        struct buf said;
        buf_init(&said, 1 << 16);
        size_t j;
        json_t *block;
        json_t *first = json_array_get(json_object_get(request.root, "messages"), 0);
        json_array_foreach(json_object_get(first, "content"), j, block) {
            assert_string_equal(json_get_text(block, "type", ""), "text");
            buf_printf(&said, "%s%s", j ? "|" : "", json_get_text(block, "text", ""));
        }
        assert_string_equal(buf_text(&said), cases[i].expected);
        buf_fini(&said);
        messages_fini(&request);
        mem_free(messages);
    }
}

static void test_system(void **state) {
    static const struct {
        const char *system, *expected; // "": there is none
    } cases[] = {
        {"null", ""},
        {"''", ""},
        {"[]", ""},
        {"'plain'", "'plain'"},
        {"[" TEXT("a") ",{'type':'text','text':'b','cache_control':{'type':'ephemeral'}}]",
         "'a\\n\\nb'"},
        {"[" TEXT("x-anthropic-billing-header: cc_version=2.1.197.abc; cc_entrypoint=cli;") "," TEXT(
             "a") "]",
         "'a'"},
        {"[" TEXT("a") "," TEXT("x-anthropic-billing-header: cch=12;") "]", "'a'"},
        {"'x-anthropic-billing-header: cc_version=1;\\n\\na\\nb'", "'a\\nb'"},
        {"'a\\n<total_tokens>12 tokens left</total_tokens>\\nb'", "'a\\nb'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        char *body =
            mem_printf("{'max_tokens':1,'system':%s,'messages':[" U("'q'") "]}", cases[i].system);
        assert_true(parse(&request, body, NULL));
        check(cases[i].system, json_object_get(request.root, "system"), cases[i].expected);
        messages_fini(&request);
        mem_free(body);
    }
}

static void test_tools(void **state) {
    static const struct {
        const char *tools, *expected, *server_tool;
        bool only;
    } cases[] = {
        {"[]", "", NULL, false},
        {"[{'type':'custom','input_schema':{'b':1,'a':2},'name':'T','cache_control':{},'strict':true}]",
         "[{'name':'T','input_schema':{'b':1,'a':2}}]", NULL, false},
        {"[" TOOL("A") ",{'type':'web_search_20250305','name':'web_search','max_uses':8}]",
         "[" TOOL("A") "]", "web_search", false},
        {"[{'type':'web_search_20250305','name':'web_search'},{'type':'code_execution_20250522'}]",
         "", "web_search", true},
        {"[{'type':'mcp_toolset'}]", "", "mcp_toolset", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        char *body =
            mem_printf("{'max_tokens':1,'tools':%s,'messages':[" U("'q'") "]}", cases[i].tools);
        assert_true(parse(&request, body, NULL));
        check(cases[i].tools, json_object_get(request.root, "tools"), cases[i].expected);
        assert_int_equal(request.only_server_tools, cases[i].only);
        if (cases[i].server_tool)
            assert_string_equal(request.server_tool, cases[i].server_tool);
        else
            assert_null(request.server_tool);
        messages_fini(&request);
        mem_free(body);
    }
}

// Tools that the API knows by type come with a schema that a model can follow.
static void test_known_tools(void **state) {
    static const char *const types[] = {"bash_20250124", "text_editor_20250728", "memory_20250818",
                                        "computer_20250124"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct messages_request request;
        char *body = mem_printf(
            "{'max_tokens':1,'tools':[{'type':'%s','name':'n'}],'messages':[" U("'q'") "]}",
            types[i]);
        assert_true(parse(&request, body, NULL));
        json_t *tool = json_array_get(json_object_get(request.root, "tools"), 0);
        json_t *schema = json_object_get(tool, "input_schema");
        assert_string_equal(json_get_text(tool, "name", ""), "n");
        assert_true(json_object_size(json_object_get(schema, "properties")) > 0);
        assert_true(json_is_array(json_object_get(schema, "required")));
        assert_false(request.only_server_tools);
        messages_fini(&request);
        mem_free(body);
    }
}

#define ASK(members) "{'max_tokens':100," members "'messages':[" U("'q'") "]}"
#define SCHEMA "{'type':'json_schema','schema':{'type':'object'}}"
#define FORMATTED                                                                                  \
    "'response_format':{'type':'json_schema','json_schema':{'name':'answer','strict':true,"        \
    "'schema':{'type':'object'}}},"
#define OFFER "'tools':[" TOOL("A") "," TOOL("B") "],"
#define OFFERED(name)                                                                              \
    "{'type':'function','function':{'name':'" name "','description':'d','parameters':"             \
    "{'type':'object'}}}"
#define THINKING(is) "'chat_template_kwargs':{'enable_thinking':" is "},"

static void test_options(void **state) {
    static const struct {
        const char *what, *body;
        bool llama;
        const char *expected; // of the completions body, between messages and stream
    } cases[] = {
        {"a stranger's server", ASK(""), false, ""},
        {"llama-server", ASK(""), true, THINKING("false")},
        {"thinking", ASK("'thinking':{'type':'adaptive'},'output_config':{'effort':'high'},"), true,
         THINKING("true") "'reasoning_effort':'high',"},
        {"effort beyond high",
         ASK("'thinking':{'type':'adaptive'},'output_config':{'effort':'max'},"), true,
         THINKING("true") "'reasoning_effort':'high',"},
        {"the usual effort",
         ASK("'thinking':{'type':'adaptive'},'output_config':{'effort':'medium'},"), true,
         THINKING("true")},
        {"a budget that leaves no room", ASK("'thinking':{'type':'enabled','budget_tokens':99},"),
         true, THINKING("true") "'thinking_budget_tokens':75,"},
        {"a budget", ASK("'thinking':{'type':'enabled','budget_tokens':20},"), true,
         THINKING("true") "'thinking_budget_tokens':20,"},
        {"thinking elsewhere", ASK("'thinking':{'type':'adaptive'},"), false, ""},
        {"schema", ASK("'output_config':{'format':" SCHEMA "},"), false, FORMATTED},
        {"schema, as it was", ASK("'output_format':" SCHEMA ","), false, FORMATTED},
        {"sampling", ASK("'temperature':0.1,'top_p':1,'top_k':5,'stop_sequences':['x'],"), true,
         "'temperature':0.1,'top_p':1,'stop':['x'],'top_k':5," THINKING("false")},
        {"top_k elsewhere", ASK("'top_k':5,'stop_sequences':[],"), false, ""},
        {"what means nothing here",
         ASK("'metadata':{'user_id':'u'},'context_management':{},'service_tier':'auto',"), false,
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        struct messages_target target = {.model = "x", .llama = cases[i].llama};
        struct err err = {0};
        if (!parse(&request, cases[i].body, &err))
            fail_msg("%s: %s", cases[i].what, err.text);
        struct buf out;
        buf_init(&out, 1 << 16);
        assert_true(messages_write_completions(&request, &target, &out));
        char *wanted = mem_printf("{'model':'x','messages':[" U("'q'") "],'max_tokens':100,%s"
                                                                       "'stream':false}",
                                  cases[i].expected);
        char *expected = quoted(wanted);
        assert_string_equal(buf_text(&out), expected);
        mem_free(wanted);
        mem_free(expected);
        buf_fini(&out);
        messages_fini(&request);
    }
}

static json_t *completions(const struct messages_request *request,
                           const struct messages_target *target) {
    struct buf out;
    struct err err = {0};
    buf_init(&out, 1 << 20);
    assert_true(messages_write_completions(request, target, &out));
    json_t *body = json_parse(buf_bytes(&out), out.length, 0, 0, &err);
    if (!body)
        fail_msg("%s", err.text);
    buf_fini(&out);
    return body;
}

static void test_tool_choice(void **state) {
    static const struct {
        const char *choice;
        bool llama;
        const char *expected, *tools, *parallel;
    } cases[] = {
        {"null", false, "'auto'", OFFERED("A") "," OFFERED("B"), ""},
        {"{'type':'auto'}", false, "'auto'", OFFERED("A") "," OFFERED("B"), ""},
        {"{'type':'any'}", false, "'required'", OFFERED("A") "," OFFERED("B"), ""},
        {"{'type':'none'}", true, "'none'", OFFERED("A") "," OFFERED("B"), ""},
        {"{'type':'auto','disable_parallel_tool_use':true}", true, "'auto'",
         OFFERED("A") "," OFFERED("B"), "false"},
        {"{'type':'tool','name':'B'}", false, "{'type':'function','function':{'name':'B'}}",
         OFFERED("A") "," OFFERED("B"), ""},
        {"{'type':'tool','name':'B'}", true, "'required'", OFFERED("B"), ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        struct messages_target target = {.llama = cases[i].llama};
        char *body = mem_printf(ASK(OFFER "'tool_choice':%s,"), cases[i].choice);
        assert_true(parse(&request, body, NULL));
        json_t *sent = completions(&request, &target);
        char *tools = mem_printf("[%s]", cases[i].tools);
        check(cases[i].choice, json_object_get(sent, "tool_choice"), cases[i].expected);
        check(cases[i].choice, json_object_get(sent, "tools"), tools);
        check(cases[i].choice, json_object_get(sent, "parallel_tool_calls"), cases[i].parallel);
        json_decref(sent);
        messages_fini(&request);
        mem_free(tools);
        mem_free(body);
    }
}

#define TOLD(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define CALLED(id)                                                                                 \
    "{'id':'" id "','type':'function','function':{'name':'Read','arguments':"                      \
    "'{\\'path\\':\\'/" id "\\'}'}}"
#define CALLING(text, calls) "{'role':'assistant','content':'" text "','tool_calls':[" calls "]}"

static void test_completions(void **state) {
    static const struct {
        const char *what, *messages;
        struct messages_target target;
        const char *expected;
    } cases[] = {
        {"texts are one string",
         "[" U("[" TEXT("a") "," TEXT("b") "]") "]",
         {0},
         "[" U("'a\\n\\nb'") "]"},
        {"an image",
         "[" U("[" TEXT("a") "," PNG "," TEXT("b") "]") "]",
         {0},
         "[" U("[" TEXT("a") ",{'type':'image_url','image_url':{'url':'data:image/png;base64,"
                             "AAAA'}}," TEXT("b") "]") "]"},
        {"an image for the blind",
         "[" U("[" PNG "]") "]",
         {.blind = true},
         "[" U("'[An image was left out, since this model cannot see.]'") "]"},
        {"parallel calls",
         "[" U("'q'") "," A("[" TEXT("t") "," CALL("a") "," CALL("b") "]") "," U(
             "[" RESULT("b", "2") "," RESULT("a", "1") "," TEXT("and") "]") "]",
         {0},
         "[" U("'q'") "," CALLING("t", CALLED("a") "," CALLED("b")) "," TOLD("a", "1") "," TOLD(
             "b", "2") "," U("'and'") "]"},
        {"a reminder behind results",
         "[" U("'q'") "," A("[" CALL("a") "]") "," U("[" RESULT("a", "1") "]") "," S("'s'") "]",
         {0},
         "[" U("'q'") "," CALLING("", CALLED("a")) "," TOLD(
             "a", "1\\n\\n<system-reminder>\\ns\\n</system-reminder>") "]"},
        {"a failure and an image",
         "[" U("'q'") "," A("[" CALL("a") "]") "," U(
             "[{'type':'tool_result','tool_use_id':'a','is_error':true,'content':[" TEXT(
                 "no") "," PNG "]}]") "]",
         {0},
         "[" U("'q'") "," CALLING("", CALLED("a")) "," TOLD("a", "The tool failed:\\n\\nno\\n\\n[See the next message for the image.]") "," U(
             "[" TEXT("[Image from the result of a:]") ",{'type':'image_url','image_url':{'url':"
                                                       "'data:image/png;base64,AAAA'}}]") "]"},
        {"thinking for llama-server",
         "[" U("'q'") "," A("[{'type':'thinking','thinking':'t'}," TEXT("a") "]") "," U("'r'") "]",
         {.llama = true},
         "[" U("'q'") ",{'role':'assistant','content':'a','reasoning_content':'t'}," U("'r'") "]"},
        {"thinking for others",
         "[" U("'q'") "," A("[{'type':'thinking','thinking':'t'}," TEXT("a") "]") "," U("'r'") "]",
         {0},
         "[" U("'q'") "," A("'a'") "," U("'r'") "]"},
        {"arguments that could not be parsed",
         "[" U("'q'") "," A(
             "[{'type':'tool_use','id':'a','name':'Read','input':"
             "{'__unparsedToolInput':{'raw':'{bad','len':4}}}]") "," U("[" RESULT("a",
                                                                                  "1") "]") "]",
         {0},
         "[" U(
             "'q'") ",{'role':'assistant','content':'','tool_calls':[{'id':'a','type':'function',"
                    "'function':{'name':'Read','arguments':'{\\'malformed_arguments\\':\\'{bad\\'}'}}]}," TOLD(
                        "a", "1") "]"},
        {"arguments that are an object in a string",
         "[" U("'q'") "," A("[{'type':'tool_use','id':'a','name':'Read','input':"
                            "'{\\'file_path\\':\\'/x\\'}'}]") "," U("[" RESULT("a", "1") "]") "]",
         {0},
         "[" U(
             "'q'") ",{'role':'assistant','content':'','tool_calls':[{'id':'a','type':'function',"
                    "'function':{'name':'Read','arguments':'{\\'file_path\\':\\'/x\\'}'}}]}," TOLD(
                        "a", "1") "]"},
        {"arguments that are no object at all",
         "[" U("'q'") "," A("[{'type':'tool_use','id':'a','name':'Read','input':[1,2]}]") "," U(
             "[" RESULT("a", "1") "]") "]",
         {0},
         "[" U(
             "'q'") ",{'role':'assistant','content':'','tool_calls':[{'id':'a','type':'function',"
                    "'function':{'name':'Read','arguments':'{\\'malformed_arguments\\':\\'[1,2]\\'}'}}]}," TOLD(
                        "a", "1") "]"},
        {"arguments keep their order and numbers",
         "[" U("'q'") "," A("[{'type':'tool_use','id':'a','name':'Read','input':"
                            "{'z':0.1,'a':[1e300,1.0,-3]}}]") "," U("[" RESULT("a", "1") "]") "]",
         {0},
         "[" U(
             "'q'") ",{'role':'assistant','content':'','tool_calls':[{'id':'a','type':'function',"
                    "'function':{'name':'Read','arguments':'{\\'z\\':0.1,\\'a\\':[1e+300,1.0,-3]}'}}]}," TOLD(
                        "a", "1") "]"},
        {"in words",
         "[" U("'q'") "," A("[" TEXT("t") "," CALL("a") "]") "," U("[" RESULT("a", "1") "]") "]",
         {.form = MESSAGES_FORM_PLAIN},
         "[" U("'q'") "," A("'t\\n\\n[Called Read as a with: {\\'path\\':\\'/a\\'}]'") "," U(
             "'[Result of a:]\\n1'") "]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        parse_messages(&request, cases[i].messages);
        json_t *sent = completions(&request, &cases[i].target);
        check(cases[i].what, json_object_get(sent, "messages"), cases[i].expected);
        json_decref(sent);
        messages_fini(&request);
    }
}

// One call a message, its result behind it under the same short id, and no user right behind.
static void test_serial(void **state) {
    struct messages_request request;
    struct messages_target target = {.form = MESSAGES_FORM_SERIAL};
    parse_messages(&request,
                   "[" U("'q'") "," A("[" CALL("toolu_1") "," CALL("toolu_2") "]") "," U("[" RESULT(
                       "toolu_2", "2") "," RESULT("toolu_1", "1") "," TEXT("and") "]") "]");
    json_t *sent = completions(&request, &target), *message;
    static const char *const roles[] = {"user", "assistant", "tool", "assistant",
                                        "tool", "assistant", "user"};
    const json_t *list = json_object_get(sent, "messages");
    char id[2][10] = {"", ""};
    size_t i;
    assert_int_equal(json_array_size(list), sizeof roles / sizeof *roles);
    json_array_foreach(list, i, message) {
        assert_string_equal(json_get_text(message, "role", ""), roles[i]);
        const json_t *calls = json_object_get(message, "tool_calls");
        if (i == 1 || i == 3) {
            const char *given = json_get_text(json_array_get(calls, 0), "id", "");
            assert_int_equal(strlen(given), 9);
            snprintf(id[i / 2], sizeof id[0], "%s", given);
        } else if (i == 2 || i == 4) {
            assert_string_equal(json_get_text(message, "tool_call_id", ""), id[i / 2 - 1]);
            assert_string_equal(json_get_text(message, "content", ""), i == 2 ? "1" : "2");
        }
        assert_int_equal(json_array_size(calls), i == 1 || i == 3 ? 1 : 0);
    }
    assert_string_not_equal(id[0], id[1]);
    json_decref(sent);
    messages_fini(&request);
}

// The text of "messages" in the body for a target, from its bracket to what stands behind it.
static char *message_bytes(const struct messages_request *request,
                           const struct messages_target *target) {
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_true(messages_write_completions(request, target, &out));
    const char *text = strstr(buf_text(&out), "\"messages\":[");
    const char *end = strstr(text, "],\"max_tokens\"");
    char *bytes = mem_strndup(text, (size_t)(end - text));
    buf_fini(&out);
    return bytes;
}

// A conversation as Claude Code grows it: each request has all that was said before it.
static const char *const growing[] = {
    U("[" TEXT("memory") "," TEXT("prompt") "]") "," S("'agents'"),
    A("[{'type':'thinking','thinking':'t','signature':''}," TEXT("t") "," CALL("a") "," CALL(
        "b") "]") "," U("[" RESULT("b", "2") "," RESULT("a", "1") "]"),
    A("[" CALL("c") "]") "," U("[" RESULT("c", "3") "," TEXT(
        "<system-reminder>todo</system-reminder>") "]") "," S("'mid'"),
    A("[" CALL("d") "]") "," U(
        "[{'type':'tool_result','tool_use_id':'d','is_error':true,'content':[" TEXT("e") "," PNG
                                                                                         "]}]"),
    A("'done'") "," S("'later'") "," U("'next'"),
    A("[{'type':'server_tool_use','name':'web_search','input':{}}," TEXT("found") "]") "," U("'x'"),
};

static void test_prefix(void **state) {
    for (unsigned form = 0; form <= MESSAGES_FORM_PLAIN; form++) {
        struct messages_target target = {.llama = true, .form = (enum messages_form)form};
        char *said = mem_strdup(""), *before = NULL;
        for (size_t i = 0; i < sizeof growing / sizeof *growing; i++) {
            struct messages_request request;
            char *more = mem_printf("%s%s%s", said, i ? "," : "", growing[i]);
            char *messages = mem_printf("[%s]", more);
            parse_messages(&request, messages);
            char *bytes = message_bytes(&request, &target);
            if (before && !str_starts(bytes, before))
                fail_msg("form %u, request %zu:\n%s\n%s", form, i, before, bytes);
            assert_true(!before || strlen(bytes) > strlen(before));
            mem_free(before);
            before = bytes;
            mem_free(said);
            said = more;
            mem_free(messages);
            messages_fini(&request);
        }
        mem_free(before);
        mem_free(said);
    }
}

// A turn that grows before the model has answered: all that was read of it stays.
static void test_turn_grows(void **state) {
    static const struct {
        const char *first, *more;
    } cases[] = {
        {U("'prompt'") "," S("'agents'"), U("'and more'") "," S("'date'")},
        {U("'a'") "," A("'b'") "," U("'c'"), S("'s'")},
        {U("'a'") "," A("'b'") "," U("'c'") "," S("'s'"), U("'d'") "," S("'t'")},
        {U("'a'") "," A("[" CALL("a") "]") "," U("[" RESULT("a", "1") "]") "," S("'s'"),
         U("'stop'") "," S("'t'")},
        {U("'a'") "," A("[" CALL("a") "]") "," U("[" RESULT("a", "1") "," TEXT("x") "]"), S("'t'")},
    };
    for (size_t i = 0; i < 3 * (sizeof cases / sizeof *cases); i++) {
        struct messages_target target = {.llama = true, .form = (enum messages_form)(i % 3)};
        struct messages_request request;
        char *bytes[2];
        for (size_t more = 0; more < 2; more++) {
            char *messages = mem_printf("[%s%s%s]", cases[i / 3].first, more ? "," : "",
                                        more ? cases[i / 3].more : "");
            parse_messages(&request, messages);
            bytes[more] = message_bytes(&request, &target);
            messages_fini(&request);
            mem_free(messages);
        }
        size_t open = strlen(bytes[0]) - strlen("\"}"); // the last text may go on
        if (strncmp(bytes[0], bytes[1], open) != 0 || strlen(bytes[1]) <= open)
            fail_msg("form %zu, case %zu:\n%s\n%s", i % 3, i / 3, bytes[0], bytes[1]);
        mem_free(bytes[0]);
        mem_free(bytes[1]);
    }
}

static void test_native(void **state) {
    struct messages_request request;
    struct messages_target target = {
        .model = "x", .context_tokens = 50, .prompt_tokens = 30, .stream = true};
    assert_true(parse(
        &request,
        "{'stream':false,'model':'m','max_tokens':100,'thinking':{'type':'enabled',"
        "'budget_tokens':7},'metadata':{},'tools':[" TOOL(
            "A") "],'tool_choice':{'type':"
                 "'tool','name':'A','disable_parallel_tool_use':true},'output_config':{'effort':"
                 "'low','format':" SCHEMA "},'system':'s','messages':[" U("'q'") "]}",
        NULL));
    assert_false(request.stream);
    assert_string_equal(request.model, "m");
    assert_int_equal(request.thinking_tokens, 7);
    assert_int_equal(request.tool_choice, TOOL_CHOICE_NAMED);
    assert_string_equal(request.tool_name, "A");
    assert_true(request.one_tool);
    assert_non_null(request.output_schema);
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(messages_write(&request, &target, &out));
    char *expected = quoted("{'model':'x','tools':[" TOOL("A") "],'system':'s','messages':[" U("[" TEXT(
        "q") "]") "],"
                  "'tool_choice':{'type':'tool','name':'A','disable_parallel_tool_use':true},"
                  "'thinking':{'type':'enabled','budget_tokens':7},'output_config':{'effort':'low','format':" SCHEMA
                  "},'max_tokens':20,'stream':true}");
    assert_string_equal(buf_text(&out), expected);
    mem_free(expected);
    buf_fini(&out);
    buf_init(&out, 10);
    assert_false(messages_write(&request, &target, &out));
    assert_false(messages_write_completions(&request, &target, &out));
    messages_fini(&request);
    buf_fini(&out);
}

static void test_max_tokens(void **state) {
    static const struct {
        int64_t asked, window, prompt, most, expected;
    } cases[] = {
        {32000, 0, 0, 0, 32000},       {32000, 8192, 0, 0, 8192},    {32000, 8192, 8000, 0, 192},
        {32000, 8192, 8192, 0, 1},     {32000, 8192, 9000, 0, 1},    {100, 8192, 100, 0, 100},
        {32000, 65536, 100, 512, 512}, {32000, 4096, 4000, 512, 96},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        struct messages_target target = {.context_tokens = cases[i].window,
                                         .prompt_tokens = cases[i].prompt,
                                         .max_output_tokens = cases[i].most};
        char *body = mem_printf("{'max_tokens':%d,'messages':[" U("'q'") "]}", (int)cases[i].asked);
        assert_true(parse(&request, body, NULL));
        json_t *sent = completions(&request, &target);
        assert_int_equal(json_get_int(sent, "max_tokens", 0), cases[i].expected);
        json_decref(sent);
        messages_fini(&request);
        mem_free(body);
    }
}

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_refused(void **state) {
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"", "The request body is not valid JSON"},
        {"[]", "Input should be a valid dictionary"},
        {"{}", "messages: Field required"},
        {"{'max_tokens':1,'messages':[]}", "messages: at least one message is required"},
        {"{'max_tokens':1,'messages':{}}", "messages: Input should be a valid list"},
        {"{'messages':[" U("'q'") "]}", "max_tokens: Field required"},
        {"{'max_tokens':0,'messages':[" U("'q'") "]}", "max_tokens: Input should be greater"},
        {"{'max_tokens':-1,'messages':[" U("'q'") "]}", "max_tokens: Input should be greater"},
        {"{'max_tokens':'1','messages':[" U("'q'") "]}", "max_tokens: Input should be a valid int"},
        {"'messages'", "The request body is not valid JSON"},
        {"{'max_tokens':1,'messages':[" U("''") "]}",
         "messages.0: user messages must have non-empty content"},
        {"{'max_tokens':1,'messages':[" U("[" TEXT("") "]") "," A("[]") "]}",
         "messages.0: user messages must have non-empty content"},
        {ASK("'temperature':5,"), "temperature: range: 0..1"},
        {ASK("'temperature':-0.1,"), "temperature: range: 0..1"},
        {ASK("'temperature':'hot',"), "temperature: Input should be a valid number"},
        {ASK("'top_p':1.1,"), "top_p: range: 0..1"},
        {ASK("'top_k':-1,"), "top_k: Input should be greater than or equal to 0"},
        {ASK("'stop_sequences':['a',' \\n'],"),
         "stop_sequences: each stop sequence must contain non-whitespace"},
        {ASK("'stream':1,"), "stream: Input should be a valid boolean"},
        {ASK("'model':1,"), "model: Input should be a valid string"},
        {ASK("'system':1,"), "system: Input should be a valid string or list"},
        {ASK("'system':[{}],"), "system.0.text: Field required"},
        {ASK("'tools':{},"), "tools: Input should be a valid list"},
        {ASK("'tools':[1],"), "tools.0: Input should be a valid dictionary"},
        {ASK("'tools':[{'name':'a'}],"), "tools.0.custom.input_schema: Field required"},
        {ASK("'tools':[{'input_schema':{}}],"), "tools.0.custom.name: Field required"},
        {ASK("'tools':[" TOOL("A") "," TOOL("a.b") "],"),
         "tools.1.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,256}$'"},
        {ASK("'tools':[" TOOL(X50 X50 X50 X50 X50 "1234567") "],"), "tools.0.custom.name: String"},
        {ASK("'tools':[{'type':'bash_20250124','name':'a b'}],"),
         "tools.0.name: String should match pattern"},
        {ASK("'tools':[" TOOL("") "],"), "tools.0.custom.name: String should match pattern"},
        {ASK("'tools':[" TOOL("read file") "],"), "tools.0.custom.name: String should match"},
        {ASK("'tools':[" TOOL("le\xc3\xado") "],"), "tools.0.custom.name: String should match"},
        {ASK("'tools':[" TOOL("A") "," TOOL("A") "],"), "tools: Tool names must be unique."},
        {ASK(OFFER "'tool_choice':{'type':'tool','name':'C'},"), "tool_choice: Tool 'C' not found"},
        {ASK(OFFER "'tool_choice':{'type':'some'},"), "tool_choice.type: Input should be"},
        {ASK("'tool_choice':{'type':'any'},"), "tool_choice: may only be specified while"},
        {ASK("'tool_choice':{'type':'tool','name':'C'},"), "tool_choice: Tool 'C' not found"},
        {ASK("'thinking':{'type':'hard'},"), "thinking.type: Input should be"},
        {ASK("'thinking':{},"), "thinking.type: Input should be"},
        {ASK("'thinking':{'type':'enabled'},"), "thinking.enabled.budget_tokens: Field required"},
        {ASK("'thinking':{'type':'enabled','budget_tokens':'9'},"),
         "thinking.enabled.budget_tokens: Input should be a valid integer"},
        {ASK("'thinking':{'type':'enabled','budget_tokens':0},"),
         "thinking.enabled.budget_tokens: Input should be greater than or equal to 1"},
        {ASK("'thinking':{'type':'enabled','budget_tokens':100},"),
         "`max_tokens` must be greater than `thinking.budget_tokens`"},
        {ASK("'stop_sequences':['a',1],"), "stop_sequences.1: Input should be a valid string"},
        {ASK("'output_format':{'type':'json_schema'},"), "output_config.format.schema: "},
        {"{'max_tokens':1,'messages':[1]}", "messages.0: Input should be a valid dictionary"},
        {"{'max_tokens':1,'messages':[{'content':'q'}]}", "messages.0.role: Field required"},
        {"{'max_tokens':1,'messages':[" U("'q'") ",{'role':'robot','content':''}]}",
         "messages.1.role: Input should be 'user', 'assistant' or 'system'"},
        {"{'max_tokens':1,'messages':[{'role':'user'}]}", "messages.0.content: Field required"},
        {"{'max_tokens':1,'messages':[" U("1") "]}", "messages.0.content: Input should be"},
        {"{'max_tokens':1,'messages':[" U("['q']") "]}", "messages.0.content.0: Input should be"},
        {"{'max_tokens':1,'messages':[" U("[{}]") "]}",
         "messages.0.content.0.type: Field required"},
        {"{'max_tokens':1,'messages':[" U("[" TEXT("a") ",{'type':'text'}]") "]}",
         "messages.0.content.1.text: Field required"},
        {"{'max_tokens':1,'messages':[" A("[{'type':'tool_use','name':'a'}]") "]}",
         "messages.0.content.0.tool_use.id: Field required"},
        {"{'max_tokens':1,'messages':[" U("[{'type':'tool_result'}]") "]}",
         "messages.0.content.0.tool_result.tool_use_id: Field required"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        struct err err = {0};
        assert_false(parse(&request, cases[i].body, &err));
        char *expected = mem_strdup(cases[i].expected);
        assert_int_equal(err.code, ERR_INVALID);
        if (!str_starts(err.text, expected))
            fail_msg("%s: %s", cases[i].body, err.text);
        assert_null(request.root);
        mem_free(expected);
    }
}

// What clients send, and what a conversation must not end on.
static void test_accepted(void **state) {
    static const char *const bodies[] = {
        ASK("'temperature':1,'top_p':0,'top_k':0,"),
        ASK("'temperature':null,'top_p':null,'top_k':null,'stop_sequences':null,'tools':null,"
            "'tool_choice':null,'thinking':null,'system':null,'metadata':null,"),
        ASK("'anthropic_version':'x','betas':['y'],'inference_geo':'z','mcp_servers':[],"
            "'container':null,"),
        ASK("'tools':[" TOOL("mcp__my-server__read_file") "," TOOL(X50 X50 X50 X50 X50
                                                                   "123456") "],"),
        ASK("'tool_choice':{'type':'auto'},"),
        ASK("'tool_choice':{'type':'none'},'tools':[],"),
        ASK("'tools':[{'type':'web_search_20250305','name':'web_search'}],"
            "'tool_choice':{'type':'tool','name':'web_search'},"),
        ASK("'thinking':{'type':'enabled','budget_tokens':31999},'tools':[" TOOL("A") "],"),
        ASK("'thinking':{'type':'adaptive','display':'summarized'},"),
        "{'max_tokens':1,'messages':[" U("'q'") "," A(
            "[{'type':'tool_use','id':'functions.Read:0',"
            "'name':'functions.Read file','input':{}}]") "]}",
        "{'max_tokens':1,'messages':[" U("'q'") "," A("''") "," U("''") "]}",
        "{'max_tokens':1,'messages':[" U("[" PNG "]") "]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct messages_request request;
        struct err err = {0};
        if (!parse(&request, bodies[i], &err))
            fail_msg("%s: %s", bodies[i], err.text);
        messages_fini(&request);
    }
}

static void test_bounds(void **state) {
    struct messages_request request;
    struct err err = {0};
    struct buf body;
    buf_init(&body, 8 << 20);
    buf_adds(&body, "{\"max_tokens\":1,\"messages\":[");
    for (int i = 0; i < 200000; i++)
        buf_adds(&body, "[");
    assert_false(messages_parse(&request, buf_bytes(&body), body.length, &err));
    assert_int_equal(err.code, ERR_INVALID);
    buf_clear(&body);
    buf_adds(&body, "{\"max_tokens\":1,\"messages\":[{}");
    for (int i = 0; i < 100000; i++)
        buf_adds(&body, ",{}");
    buf_adds(&body, "]}");
    assert_false(messages_parse(&request, buf_bytes(&body), body.length, &err));
    assert_string_equal(err.text, "messages: at most 100000 messages");
    buf_clear(&body);
    buf_adds(&body, "{\"max_tokens\":1,\"messages\":[{}],\"tools\":[{}");
    for (int i = 0; i < 5000; i++)
        buf_adds(&body, ",{}");
    buf_adds(&body, "]}");
    assert_false(messages_parse(&request, buf_bytes(&body), body.length, &err));
    assert_string_equal(err.text, "tools: at most 4096 tools");
    buf_fini(&body);
}

static void test_count(void **state) {
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":true}";
    struct messages_request request;
    assert_true(messages_parse_count(&request, body, strlen(body), NULL));
    assert_false(request.stream);
    assert_string_equal(request.model, "");
    int64_t one = messages_estimate_tokens(&request);
    assert_true(one > 0 && one < 50);
    messages_fini(&request);
    parse_messages(&request, "[" U("[" TEXT("q") "," PNG "]") "]");
    assert_true(request.images);
    assert_true(messages_estimate_tokens(&request) > one + 1000);
    messages_fini(&request);
}

// Counted by the tokenizers themselves (SmolLM2, Gemma, cl100k, o200k): what the one that needs the
// most needs, and the one that needs the least.
static void test_estimate(void **state) {
    static const struct {
        const char *what, *text;      // as in JSON
        int64_t most, least, percent; // and the estimate is at most so many percent of the most
    } cases[] = {
        {"Chinese",
         "请先阅读这个仓库里的说明文件，然后找出导致测试失败的原因。修"
         "改代码时不要改变公开的接口，也不要删除已有的注释。如果你需要"
         "新的依赖，请先说明理由，再等待我的确认。完成之后运行全部测试"
         "，并把结果写进报告。\\n",
         169, 60, 150},
        {"Russian",
         "Сначала прочитай файл с описанием проекта и найди причину, по которой "
         "не проходят тесты. При исправлении не меняй открытый интерфейс и не уд"
         "аляй существующие комментарии. Если понадобится новая зависимость, объ"
         "ясни зачем и дождись моего согласия.\\n",
         187, 58, 150},
        {"English",
         "Read the description of this repository first, then find out why the t"
         "ests fail. Do not change the public interface while you fix the code, "
         "and keep the comments that are there. If you need a new dependency, sa"
         "y why and wait for my answer. Run all tests at the end and write down "
         "what they said.\\n",
         65, 64, 130},
        {"code",
         "static bool take(struct reader *reader, char c) {\\n    skip_space(rea"
         "der);\\n    if (reader->p == reader->end || *reader->p != c)\\n       "
         " return false;\\n    for (size_t i = 0; i < reader->count; i++)\\n    "
         "    reader->seen[i] += reader->weights[i] * 0.25;\\n    return true;\\n"
         "}\\n",
         90, 80, 130},
        {"code far to the right",
         "                                static bool take(struct reader *reader"
         ", char c) {\\n                                    skip_space(reader);\\n"
         "                                    if (reader->p == reader->end || *r"
         "eader->p != c)\\n                                        return false;"
         "\\n                                    for (size_t i = 0; i < reader->"
         "count; i++)\\n                                        reader->seen[i] "
         "+= reader->weights[i] * 0.25;\\n                                    re"
         "turn true;\\n                                }\\n",
         92, 82, 140},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        int64_t tokens[2], least[2];
        for (int with = 0; with < 2; with++) {
            char *body =
                mem_printf("{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":"
                           "\"q\"}],\"system\":\"%s\"}",
                           with ? cases[i].text : "");
            assert_true(messages_parse(&request, body, strlen(body), NULL));
            tokens[with] = messages_estimate_tokens(&request);
            least[with] = messages_least_tokens(&request);
            messages_fini(&request);
            mem_free(body);
        }
        int64_t told = tokens[1] - tokens[0], surely = least[1] - least[0];
        if (told * 100 < cases[i].most * 98 || told * 100 > cases[i].most * cases[i].percent ||
            surely > cases[i].least || surely * 12 < cases[i].least)
            fail_msg("%s: %lld, at least %lld, of %lld to %lld", cases[i].what, (long long)told,
                     (long long)surely, (long long)cases[i].least, (long long)cases[i].most);
    }
}

// The same character over and over is no proof, but enough of it is.
static void test_least_of_a_run(void **state) {
    struct messages_request request;
    char *run = mem_alloc(1000001), *messages;
    memset(run, '=', 1000000);
    run[1000000] = '\0';
    messages = mem_printf("[" U("'%s'") "]", run);
    parse_messages(&request, messages);
    assert_true(messages_least_tokens(&request) > 1000000 / 128);
    assert_true(messages_least_tokens(&request) < 1000000 / 64); // cl100k
    messages_fini(&request);
    mem_free(messages);
    mem_free(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),       cmocka_unit_test(test_results),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_system),
        cmocka_unit_test(test_tools),       cmocka_unit_test(test_known_tools),
        cmocka_unit_test(test_options),     cmocka_unit_test(test_tool_choice),
        cmocka_unit_test(test_completions), cmocka_unit_test(test_serial),
        cmocka_unit_test(test_prefix),      cmocka_unit_test(test_turn_grows),
        cmocka_unit_test(test_native),      cmocka_unit_test(test_max_tokens),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_accepted),

        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_count),
        cmocka_unit_test(test_estimate),    cmocka_unit_test(test_least_of_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
