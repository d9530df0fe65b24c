#include "chat/answer.h"

#include "answer_check.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The inputs are written with ' for ".
#define D(json) "data: " json "\n\n"
#define DELTA(delta) D("{'choices':[{'index':0,'delta':" delta ",'finish_reason':null}]}")
#define TEXT(text) DELTA("{'content':'" text "'}")
#define THINK(text) DELTA("{'reasoning_content':'" text "'}")
#define CALL(call) DELTA("{'tool_calls':[" call "]}")
#define FINISH(reason) D("{'choices':[{'index':0,'delta':{},'finish_reason':'" reason "'}]}")
#define USAGE(usage) D("{'choices':[],'usage':{" usage "}}")
#define DONE "data: [DONE]\n\n"
#define E(type, more) "event: " type "\ndata: {'type':'" type "'" more "}\n\n"
#define START                                                                                      \
    E("message_start",                                                                             \
      ",'message':{'id':'chatcmpl-1','type':'message','role':"                                     \
      "'assistant','content':[],'model':'x.gguf','usage':{'input_tokens':5,'output_tokens':0,"     \
      "'cache_read_input_tokens':15}}")
#define BLOCK(index, block)                                                                        \
    E("content_block_start", ",'index':" #index ",'content_block':{" block "}")
#define PIECE(index, delta) E("content_block_delta", ",'index':" #index ",'delta':{" delta "}")
#define STOP(index) E("content_block_stop", ",'index':" #index)
#define END(reason, more)                                                                          \
    E("message_delta", ",'delta':{'stop_reason':'" reason "'" more "}"                             \
                       ",'usage':{'output_tokens':9}")                                             \
    E("message_stop", "")

struct row {
    const char *name, *input;
    const char *expected; // blocks | stop | input+cached output; or "! type: text" at the end
    enum answer_source source;
    bool no_thinking;
    const char *stops;
};

static const struct row rows[] = {
    {"text", TEXT("Hel") TEXT("lo") FINISH("stop") DONE, "text(Hello) | end_turn | 50+0 2"},
    {"a role alone", DELTA("{'role':'assistant','content':null}") TEXT("a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"nothing", DELTA("{'role':'assistant','content':''}") FINISH("stop") DONE,
     "text() | end_turn | 50+0 0"},
    {"without [DONE]", TEXT("a") FINISH("stop"), "text(a) | end_turn | 50+0 1"},
    {"without a finish", TEXT("a") DONE, "text(a) | end_turn | 50+0 1"},
    {"with neither", TEXT("a"),
     "text(a) ! api_error: the backend's answer ended before it was complete"},
    {"[DONE] alone", DONE, "! api_error: the backend ended its answer without saying anything"},
    {"no byte", "", "! api_error: the backend's answer ended before it was complete"},
    {"comments and blanks", "\r\n: hello\n\n" TEXT("a") ":\n\n" FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"thinking", THINK("h") THINK("m") TEXT("a") FINISH("stop") DONE,
     "think(hm) text(a) | end_turn | 50+0 3"},
    {"thinking under its other name",
     DELTA("{'reasoning':'h','content':null}") DELTA("{'reasoning':'m','reasoning_content':'m'}")
         FINISH("stop") DONE,
     "think(hm) | end_turn | 50+0 2"},
    {"thinking that the client cannot show", THINK("hm") TEXT("a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 2", .no_thinking = true},
    {"thinking alone that the client cannot show", THINK("hm") FINISH("stop") DONE,
     "text() | end_turn | 50+0 1", .no_thinking = true},
    {"thinking between texts", TEXT("a") THINK("b") TEXT("c") FINISH("stop") DONE,
     "text(a) think(b) text(c) | end_turn | 50+0 3"},
    {"thought and text in one",
     DELTA("{'content':'b','reasoning_content':'a'}") FINISH("stop") DONE,
     "think(a) text(b) | end_turn | 50+0 2"},
    {"blanks between thinking and a call",
     THINK("a") TEXT("\\n\\n") CALL("{'index':0,'id':'call_abcdef','function':{'name':'f',"
                                    "'arguments':'{}'}}") FINISH("tool_calls") DONE,
     "think(a) tool(f call_abcdef {}) | tool_use | 50+0 3"},
    {"blanks before text stay", TEXT("\\n") TEXT(" a") TEXT("\\n") FINISH("stop") DONE,
     "text(\n a\n) | end_turn | 50+0 3"},
    {"one call in pieces",
     CALL(
         "{'index':0,'id':'call_abcdef','type':'function','function':{'name':'Read','arguments':''}}")
         CALL("{'index':0,'function':{'arguments':'{\\'a'}}")
             CALL("{'index':0,'function':{'arguments':'\\':1}'}}") FINISH("tool_calls") DONE,
     "tool(Read call_abcdef {\"a\":1}) | tool_use | 50+0 2"},
    {"text, then calls",
     TEXT("a") CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}")
         CALL("{'index':1,'id':'call_ghijkl','function':{'name':'g','arguments':'{}'}}")
             FINISH("stop") DONE,
     "text(a) tool(f call_abcdef {}) tool(g call_ghijkl {}) | tool_use | 50+0 3"},
    {"interleaved calls",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{\\'a\\''}},"
          "{'index':1,'id':'call_ghijkl','function':{'name':'g','arguments':'{'}}")
         CALL("{'index':1,'function':{'arguments':'}'}},{'index':0,'function':{'arguments':':1}'}}")
             FINISH("tool_calls") DONE,
     "tool(f call_abcdef {\"a\":1}) tool(g call_ghijkl {}) | tool_use | 50+0 4"},
    {"brackets in texts do not end a call",
     CALL(
         "{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{\\'a\\':\\'}\\\\\\'}'}}")
         CALL("{'index':1,'id':'call_ghijkl','function':{'name':'g','arguments':'{}'}}")
             CALL("{'index':0,'function':{'arguments':'\\'}'}}") FINISH("tool_calls") DONE,
     "tool(f call_abcdef {\"a\":\"}\\\"}\"}) tool(g call_ghijkl {}) | tool_use | 50+0 3"},
    {"names before arguments",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f'}},"
          "{'index':1,'id':'call_ghijkl','function':{'name':'g'}}")
         CALL("{'index':1,'function':{'arguments':'{\\'b\\':1}'}}")
             CALL("{'index':0,'function':{'arguments':'{\\'a\\':1}'}}") FINISH("tool_calls") DONE,
     "tool(f call_abcdef {\"a\":1}) tool(g call_ghijkl {\"b\":1}) | tool_use | 50+0 2"},
    {"a name in pieces",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'Re'}}")
         CALL("{'index':0,'function':{'name':'ad','arguments':'{}'}}") FINISH("tool_calls") DONE,
     "tool(Read call_abcdef {}) | tool_use | 50+0 1"},
    {"a name that grows and repeats",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'Re'}}")
         CALL("{'index':0,'id':'call_abcdef','function':{'name':'Read'}}")
             CALL("{'index':0,'id':'call_abcdef','function':{'name':'Read','arguments':'{'}}")
                 CALL("{'index':0,'id':'call_abcdef','function':{'name':'Read','arguments':'}'}}")
                     FINISH("tool_calls") DONE,
     "tool(Read call_abcdef {}) | tool_use | 50+0 2"},
    {"no id, an empty one, a number, a second of its kind",
     CALL("{'index':0,'function':{'name':'a','arguments':'{}'}}")
         CALL("{'index':1,'id':'','function':{'name':'b','arguments':'{}'}}")
             CALL("{'index':2,'id':'call_2','function':{'name':'c','arguments':'{}'}}")
                 CALL("{'index':3,'id':'call_abcdef','function':{'name':'d','arguments':'{}'}}")
                     CALL("{'index':4,'id':'call_abcdef','function':{'name':'e','arguments':'{}'}}")
                         FINISH("tool_calls") DONE,
     "tool(a toolu_7f_0 {}) tool(b toolu_7f_1 {}) tool(c toolu_7f_2 {}) tool(d call_abcdef {}) "
     "tool(e toolu_7f_4 {}) | tool_use | 50+0 5"},
    {"every call has the index 0",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}")
         CALL("{'index':0,'id':'call_ghijkl','function':{'name':'g','arguments':'{}'}}")
             FINISH("stop") DONE,
     "tool(f call_abcdef {}) tool(g call_ghijkl {}) | tool_use | 50+0 2"},
    {"no index",
     CALL("{'id':'call_abcdef','function':{'name':'f','arguments':'{'}}")
         CALL("{'function':{'arguments':'}'}}")
             CALL("{'id':'call_ghijkl','function':{'name':'g','arguments':'{}'}}")
                 CALL("{'function':{'name':'h','arguments':'{}'}}") FINISH("stop") DONE,
     "tool(f call_abcdef {}) tool(g call_ghijkl {}) tool(h toolu_7f_2 {}) | tool_use | 50+0 4"},
    {"no arguments",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':''}}")
         FINISH("tool_calls") DONE,
     "tool(f call_abcdef {}) | tool_use | 50+0 0"},
    {"arguments that are an object",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':{'a':[1,'\\'']}}}")
         FINISH("tool_calls") DONE,
     "tool(f call_abcdef {\"a\":[1,\"\\\"\"]}) | tool_use | 50+0 1"},
    {"arguments that are broken",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{\\'a\\':'}}")
         FINISH("tool_calls") DONE,
     "tool(f call_abcdef {\"a\":) | tool_use | 50+0 1"},
    {"no name",
     CALL("{'index':0,'id':'call_abcdef','function':{'arguments':'{}'}}") FINISH("tool_calls") DONE,
     "tool(unknown call_abcdef {}) | tool_use | 50+0 1"},
    {"arguments before the name",
     CALL("{'index':0,'id':'call_abcdef','function':{'arguments':'{\\'a\\''}}")
         CALL("{'index':0,'function':{'arguments':':1}'}}")
             CALL("{'index':0,'function':{'name':'Read'}}") FINISH("tool_calls") DONE,
     "tool(Read call_abcdef {\"a\":1}) | tool_use | 50+0 2"},
    {"arguments before the name, amid other things",
     CALL("{'index':0,'id':'call_abcdef','function':{'arguments':'{}'}}") TEXT("b")
         CALL("{'index':1,'id':'call_ghijkl','function':{'name':'g','arguments':'{}'}}")
             CALL("{'index':0,'function':{'name':'f'}}") FINISH("tool_calls") DONE,
     "tool(f call_abcdef {}) tool(g call_ghijkl {}) text(b) | tool_use | 50+0 3"},
    {"text behind a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}") TEXT("\\n")
         TEXT("b") FINISH("stop") DONE,
     "tool(f call_abcdef {}) text(\nb) | tool_use | 50+0 3"},
    {"blanks behind a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}") TEXT("\\n")
         CALL("{'index':0,'function':{'arguments':' '}}") FINISH("stop") DONE,
     "tool(f call_abcdef {}) | tool_use | 50+0 2"},
    {"text and thoughts amid a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}") TEXT("b")
         THINK("c") CALL("{'index':0,'function':{'arguments':'}'}}") TEXT("d") FINISH("stop") DONE,
     "tool(f call_abcdef {}) text(bd) | tool_use | 50+0 5"},
    {"a call of before 2023",
     DELTA("{'function_call':{'name':'f','arguments':'{'}}")
         DELTA("{'function_call':{'arguments':'}'}}") FINISH("function_call") DONE,
     "tool(f toolu_7f_0 {}) | tool_use | 50+0 2"},
    {"calls that were said and did not come", TEXT("a") FINISH("tool_calls") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"cut by length", TEXT("a") FINISH("length") DONE, "text(a) | max_tokens | 50+0 1"},
    {"a call cut by length",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}") FINISH("length")
         DONE,
     "tool(f call_abcdef {) | max_tokens | 50+0 1"},
    {"filtered", TEXT("a") FINISH("content_filter") DONE, "text(a) | refusal | 50+0 1"},
    {"a refusal in words", DELTA("{'refusal':'no'}") FINISH("stop") DONE,
     "text(no) | end_turn | 50+0 1"},
    {"a reason that nobody knows", TEXT("a") FINISH("eos_token") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"broken off", TEXT("a") FINISH("abort") DONE,
     "text(a) ! api_error: the backend broke its answer off (\"abort\")"},
    {"a stop sequence (vLLM)",
     TEXT("a") D("{'choices':[{'delta':{},'finish_reason':'stop','stop_reason':'XX'}]}") DONE,
     "text(a) | stop_sequence(XX) | 50+0 1", .stops = "['YY','XX']"},
    {"a stop sequence (SGLang)",
     TEXT("a") D("{'choices':[{'delta':{},'finish_reason':'stop','matched_stop':'XX'}]}") DONE,
     "text(a) | stop_sequence(XX) | 50+0 1", .stops = "['XX']"},
    {"a stop sequence of the template",
     TEXT("a") D("{'choices':[{'delta':{},'finish_reason':'stop','stop_reason':'<|im_end|>'}]}")
         DONE,
     "text(a) | end_turn | 50+0 1", .stops = "['XX']"},
    {"an end token is no sequence",
     TEXT("a") D("{'choices':[{'delta':{},'finish_reason':'stop','stop_reason':151645}]}") DONE,
     "text(a) | end_turn | 50+0 1", .stops = "['XX']"},
    {"a thought in tags", TEXT("<think>\\nh m\\n</think>\\n\\na") FINISH("stop") DONE,
     "think(h m) text(a) | end_turn | 50+0 1"},
    {"a thought in tags that are torn",
     TEXT("\\n<th") TEXT("ink") TEXT(">\\n") TEXT("h <") TEXT("/b> m") TEXT("\\n") TEXT("<")
         TEXT("/thin") TEXT("k>") TEXT("\\n") TEXT(" a ") TEXT("<think>") FINISH("stop") DONE,
     "think(h </b> m) text(a <think>) | end_turn | 50+0 12"},
    {"tags with nothing in them", TEXT("<think>\\n\\n</think>\\n\\na") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"a thought in tags that the client cannot show", TEXT("<think>h</think>a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1", .no_thinking = true},
    {"a thought in tags that has no end", TEXT("<think>h <") FINISH("length") DONE,
     "think(h <) | max_tokens | 50+0 1"},
    {"a thought in tags, then a call",
     TEXT("<think>h</think>\\n") CALL("{'index':0,'id':'call_abcdef','function':{'name':'f',"
                                      "'arguments':'{}'}}") FINISH("tool_calls") DONE,
     "think(h) tool(f call_abcdef {}) | tool_use | 50+0 2"},
    {"tags behind the first word", TEXT("a <think>h</think>") FINISH("stop") DONE,
     "text(a <think>h</think>) | end_turn | 50+0 1"},
    {"tags behind a thought that was told", THINK("t") TEXT("<think>h</think>") FINISH("stop") DONE,
     "think(t) text(<think>h</think>) | end_turn | 50+0 2"},
    {"what only looks like a tag", TEXT("<") TEXT("thin") TEXT("g>") FINISH("stop") DONE,
     "text(<thing>) | end_turn | 50+0 3"},
    {"half a tag", TEXT(" <thi") FINISH("stop") DONE, "text( <thi) | end_turn | 50+0 1"},
    {"half a tag, then an answer that the engine cannot read",
     TEXT("<thi") D("{'error':{'message':'Invalid diff: x'}}"),
     "text(<thi\n\n(My last output could not be read by the server: Invalid diff: x)) | "
     "max_tokens | 50+0 1"},
    {"other choices",
     D("{'choices':[{'index':1,'delta':{'content':'no'},'finish_reason':'length'},"
       "{'index':0,'delta':{'content':'a'}}]}") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"content in parts",
     DELTA("{'content':[{'type':'text','text':'a'},{'type':'text','text':'b'}]}") FINISH("stop")
         DONE,
     "text(ab) | end_turn | 50+0 2"},
    {"usage at the end",
     TEXT("a") FINISH("stop") USAGE("'prompt_tokens':100,'completion_tokens':7,"
                                    "'prompt_tokens_details':{'cached_tokens':60}") DONE,
     "text(a) | end_turn | 40+60 7"},
    {"usage in every chunk",
     D("{'choices':[{'delta':{'content':'a'}}],'usage':{'prompt_tokens':100,'completion_tokens':1}}")
         D("{'choices':[{'delta':{'content':'b'},'finish_reason':'stop'}],"
           "'usage':{'prompt_tokens':100,'completion_tokens':2}}") DONE,
     "text(ab) | end_turn | 100+0 2"},
    {"usage of zeros",
     TEXT("a") FINISH("stop") USAGE("'prompt_tokens':0,'completion_tokens':0") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"usage null", D("{'choices':[{'delta':{'content':'a'}}],'usage':null}") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"usage with more cached than read",
     TEXT("a") FINISH("stop") USAGE("'prompt_tokens':10,'completion_tokens':1,"
                                    "'prompt_tokens_details':{'cached_tokens':60}") DONE,
     "text(a) | end_turn | 0+10 1"},
    {"DeepSeek's usage",
     TEXT("a") FINISH("stop") USAGE("'prompt_tokens':100,'completion_tokens':1,"
                                    "'prompt_cache_hit_tokens':64") DONE,
     "text(a) | end_turn | 36+64 1"},
    {"llama-server's timings",
     TEXT("a") D("{'choices':[{'index':0,'delta':{},'finish_reason':'stop'}],'timings':{"
                 "'cache_n':80,'prompt_n':20,'predicted_n':3}}") DONE,
     "text(a) | end_turn | 20+80 3"},
    {"usage and timings",
     TEXT("a") FINISH("stop") D("{'choices':[],'usage':{'prompt_tokens':100,'completion_tokens':3},"
                                "'timings':{'cache_n':80,'prompt_n':20,'predicted_n':3}}") DONE,
     "text(a) | end_turn | 20+80 3"},
    {"what comes behind the end", TEXT("a") FINISH("stop") DONE TEXT("b") D("no JSON"),
     "text(a) | end_turn | 50+0 1"},
    {"half a surrogate pair, a NUL, a byte that is not UTF-8",
     TEXT("a\\ud83d") TEXT("\\u0000\\ude00b") TEXT("\xff") TEXT("\\ud83d\\ude00") FINISH("stop")
         DONE,
     "text(a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
     "b\xef\xbf\xbd\xf0\x9f\x98\x80) | end_turn | 50+0 4"},
    {"a garbled event amid text", TEXT("a") D("{'choices'") TEXT("b") FINISH("stop") DONE,
     "text(ab) | end_turn | 50+0 2"},
    {"garbled events first",
     D("5") D("true") D("[1]") D("ping") D("{'choices'") TEXT("a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"a garbled event last", TEXT("a") FINISH("stop") D("{'usage'"), "text(a) | end_turn | 50+0 1"},
    {"nothing but garbled events", D("[1]") D("{'choices'"),
     "! api_error: the backend's answer is not JSON: [1]"},
    {"nothing but a garbled event, and [DONE]", D("{'choices'") DONE,
     "! api_error: the backend's answer is not JSON: {\"choices\""},
    {"a chunk lost amid a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{\\'a\\':\\'/tmp'}}")
         D("{'choices':[{") CALL("{'index':0,'function':{'arguments':'\\'}'}}")
             FINISH("tool_calls"),
     "tool(f call_abcdef {\"a\":\"/tmp) ! api_error: a piece of the backend's tool call cannot be "
     "read"},
    {"words of a proxy amid a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}") D("keep-alive")
         D("17") CALL("{'index':0,'function':{'arguments':'}'}}") FINISH("tool_calls"),
     "tool(f call_abcdef {}) | tool_use | 50+0 2"},
    {"a chunk lost behind a call",
     CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}")
         D("{'choices':[{") FINISH("tool_calls"),
     "tool(f call_abcdef {}) | tool_use | 50+0 1"},
    {"no events at all", "<html><body>\nbad gateway</body></html>",
     "! api_error: the backend's answer is neither JSON nor a stream of events: "
     "<html><body> bad gateway</body></html>"},
    {"comments and no more", ": hello\n\n: hello\n\n",
     "! api_error: the backend's answer ended before it was complete"},
    {"cut in its first event", "data: {'choices':[{'delta'",
     "! api_error: the backend's answer ended before it was complete"},
    {"no blank line at the end", TEXT("a") FINISH("stop") "data: [DONE]",
     "text(a) | end_turn | 50+0 1"},
    {"an error without a blank line at the end", TEXT("a") "data: {'error':'it broke'}",
     "text(a) ! api_error: it broke"},
    {"CRLF",
     "data: {'choices':[{'delta':{'content':'a'}}]}\r\n\r\n: x\r\n\r\n"
     "data: {'choices':[{'delta':{},'finish_reason':'stop'}]}\r\n\r\ndata: [DONE]\r\n\r\n",
     "text(a) | end_turn | 50+0 1"},
    {"CR alone, no blank behind the colon",
     "data:{'choices':[{'delta':{'content':'a'}}]}\r\r"
     "data:{'choices':[{'delta':{},'finish_reason':'stop'}]}\r\rdata:[DONE]\r\r",
     "text(a) | end_turn | 50+0 1"},
    {"data in several lines",
     "id: 7\nretry: 10\ndata: {'choices':[\ndata: {'delta':\ndata: {'content':'a'}}]\ndata: }\n\n" FINISH(
         "stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"events of unknown names",
     "event: ping\ndata: {}\n\nevent: metrics\n" D("{'tokens':1}") "event: delta\n" TEXT(
         "a") "event: ping\n" D("keep-alive") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"nulls",
     D("{'choices':[{'index':0,'delta':null,'finish_reason':null}],'usage':null,'error':null}")
         D("{'choices':null}") D("{'choices':[null]}") TEXT("a") D(
             "{'choices':[{'delta':{'content':null,'tool_calls':null,'reasoning_content':null}}]}")
             D("{'choices':[{'delta':null,'finish_reason':'stop'}]}") D("{'choices':[]}") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"errors that tell none",
     D("{'choices':[{'delta':{'content':'a'}}],'error':''}")
         D("{'choices':[{'delta':{'content':'b'}}],'error':{'code':0,'message':''}}")
             D("{'choices':[{'delta':{'content':'c'},'finish_reason':'stop'}],'error':false}") DONE,
     "text(abc) | end_turn | 50+0 3"},
    {"a mark of UTF-8 in front", "\xef\xbb\xbf" TEXT("a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"a mark of UTF-8 in front of a whole answer",
     "\xef\xbb\xbf{'choices':[{'message':{'content':'a'},'finish_reason':'stop'}]}",
     "text(a) | end_turn | 50+0 1"},
    {"members of other types",
     D("{'choices':{}}") D("{'choices':[1,null,{'delta':[]},{'delta':{'content':{},'tool_calls':[3,"
                           "{'index':'x','function':[]}]}}]}") TEXT("a") FINISH("stop") DONE,
     "text(a) | end_turn | 50+0 1"},
    {"an error first",
     D("{'error':{'code':503,'message':'Loading model','type':'unavailable_error'}}"),
     "! overloaded_error: Loading model"},
    {"an error amid the answer",
     TEXT("a") D("{'error':{'code':500,'message':'it broke','type':'server_error'}}"),
     "text(a) ! api_error: it broke"},
    {"an error event", TEXT("a") "event: error\n" D("{'message':'it broke'}"),
     "text(a) ! api_error: it broke"},
    {"an error event in words", TEXT("a") "event: error\n" D("it broke"),
     "text(a) ! api_error: it broke"},
    {"an error event without a word", TEXT("a") "event: error\ndata:\n\n",
     "text(a) ! api_error: the backend broke its answer off with an error, and gave no reason"},
    {"an error that is a string", TEXT("a") D("{'error':'it broke'}"),
     "text(a) ! api_error: it broke"},
    {"an error with its code as text", D("{'error':{'code':'429','message':'slow down'}}"),
     "! rate_limit_error: slow down"},
    {"an error with its code as a word",
     D("{'error':{'code':'rate_limit_exceeded','type':'tokens','message':'slow down'}}"),
     "! rate_limit_error: slow down"},
    {"an error with a choice (OpenRouter)",
     TEXT("a") D("{'id':'x','error':{'code':502,'message':'it broke'},'choices':[{'index':0,"
                 "'delta':{'content':''},'finish_reason':'error'}]}"),
     "text(a) ! api_error: it broke"},
    {"an error of vLLM's",
     D("{'object':'error','message':'it broke','type':'BadRequestError','param':null,'code':400}"),
     "! invalid_request_error: it broke"},
    {"an error of FastAPI's", D("{'detail':[{'loc':['body'],'msg':'it broke'}]}"),
     "! api_error: it broke"},
    {"an error of FastChat's", D("{'text':'it broke','error_code':50002}") DONE,
     "! api_error: it broke"},
    {"an error of Anthropic's",
     TEXT("a") D("{'type':'error','error':{'type':'overloaded_error','message':'busy'}}"),
     "text(a) ! overloaded_error: busy"},
    {"an error in a list", D("{'errors':[{'message':'it broke'}]}"), "! api_error: it broke"},
    {"an error of which nobody says why", TEXT("a") D("{'error':{'code':500}}"),
     "text(a) ! api_error: the backend broke its answer off with an error, and gave no reason"},
    {"an overflow first",
     D("{'error':{'code':400,'message':'request (70 tokens) exceeds the available context size (60 "
       "tokens), try increasing it','type':'exceed_context_size_error','n_prompt_tokens':70,"
       "'n_ctx':60}}"),
     "! invalid_request_error: prompt is too long: 70 tokens > 60 maximum"},
    {"the window fills while it speaks",
     TEXT("a") D("{'error':{'code':500,'message':'Context size has been exceeded.',"
                 "'type':'server_error'}}"),
     "text(a) | max_tokens | 50+0 1"},
    {"an answer that the engine cannot read, behind text",
     TEXT("a") D("{'error':{'code':500,'message':'Failed to parse input at pos 12: <tool_call>',"
                 "'type':'server_error'}}"),
     "text(a\n\n(My last output could not be read by the server: Failed to parse input at pos 12: "
     "<tool_call>)) | max_tokens | 50+0 1"},
    {"an answer that the engine cannot read, amid a call",
     TEXT("a") CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{\\'a'}}")
         D("{'error':{'code':500,'message':'The model produced output that does not match the "
           "expected peg-native format','type':'server_error'}}"),
     "text(a) tool(f call_abcdef {\"a) | tool_use | 50+0 2"},
    {"an answer that the engine cannot read, behind a role",
     DELTA("{'role':'assistant','content':null}")
         D("{'error':{'code':500,'message':'Invalid diff: x','type':'server_error'}}"),
     "text((My last output could not be read by the server: Invalid diff: x)) | max_tokens | 50+0 0"},
    {"a whole answer",
     "{'choices':[{'index':0,'message':{'role':'assistant','reasoning_content':'t','content':'a',"
     "'tool_calls':[{'id':'call_abcdef','type':'function','function':{'name':'f','arguments':"
     "'{\\'a\\':1}'}},{'id':'call_ghijkl','type':'function','function':{'name':'g','arguments':''}}]},"
     "'finish_reason':'tool_calls'}],'usage':{'prompt_tokens':100,'completion_tokens':3,"
     "'prompt_tokens_details':{'cached_tokens':60}}}",
     "think(t) text(a) tool(f call_abcdef {\"a\":1}) tool(g call_ghijkl {}) | tool_use | 40+60 3"},
    {"a whole answer with a thought in tags",
     "{'choices':[{'message':{'content':'<think>h</think>a'},'finish_reason':'stop'}]}",
     "think(h) text(a) | end_turn | 50+0 1"},
    {"a whole answer without a finish", " {'choices':[{'message':{'content':'a'}}]}\n",
     "text(a) | end_turn | 50+0 1"},
    {"a whole answer of nothing",
     "{'choices':[{'message':{'content':null},'finish_reason':'stop'}]}",
     "text() | end_turn | 50+0 0"},
    {"a whole answer without choices", "{'choices':[]}",
     "! api_error: the backend ended its answer without saying anything"},
    {"a whole answer that is an error", "{'error':'no such model'}", "! api_error: no such model"},
    {"a whole answer that is cut", "{'choices':[{'message'",
     "! api_error: the backend's answer is not JSON: {\"choices\":[{\"message\""},

    {"native text",
     START BLOCK(0, "'type':'text','text':''") PIECE(0, "'type':'text_delta','text':'a'")
         E("ping", "") PIECE(0, "'type':'text_delta','text':'b'") STOP(0)
             END("end_turn", ",'stop_sequence':null"),
     "text(ab) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native without a start", BLOCK(0, "'type':'text','text':'a'") STOP(0) END("end_turn", ""),
     "text(a) | end_turn | 50+0 9", ANSWER_MESSAGES},
    {"native blocks left open side by side, without input (llama-server)",
     START BLOCK(0, "'type':'thinking','thinking':''")
         PIECE(0, "'type':'thinking_delta','thinking':'t'") BLOCK(1, "'type':'text','text':''")
             PIECE(1, "'type':'text_delta','text':'a'")
                 BLOCK(2, "'type':'tool_use','id':'call_abcdef','name':'f'")
                     PIECE(2, "'type':'input_json_delta','partial_json':'{'")
                         BLOCK(3, "'type':'tool_use','id':'call_ghijkl','name':'g'")
                             PIECE(3, "'type':'input_json_delta','partial_json':'{}'")
                                 PIECE(2, "'type':'input_json_delta','partial_json':'}'")
                                     PIECE(0, "'type':'signature_delta','signature':''") STOP(0)
                                         STOP(1) STOP(2) STOP(3) END("tool_use", ""),
     "think(t) text(a) tool(f call_abcdef {}) tool(g call_ghijkl {}) | tool_use | 5+15 9",
     ANSWER_MESSAGES},
    {"native signature",
     START BLOCK(0, "'type':'thinking','thinking':''")
         PIECE(0, "'type':'thinking_delta','thinking':'t'")
             PIECE(0, "'type':'signature_delta','signature':'sig'") STOP(0) END("end_turn", ""),
     "think(t sig) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native blocks of one kind stay apart",
     START BLOCK(0, "'type':'text','text':'a'") STOP(0) BLOCK(1, "'type':'text','text':'b'") STOP(1)
         END("end_turn", ""),
     "text(a) text(b) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native input in the start",
     START BLOCK(0, "'type':'tool_use','id':'call_abcdef','name':'f','input':{'a':1}") STOP(0)
         END("tool_use", ""),
     "tool(f call_abcdef {\"a\":1}) | tool_use | 5+15 9", ANSWER_MESSAGES},
    {"native blocks that nobody here makes",
     START BLOCK(0, "'type':'redacted_thinking','data':'x'") STOP(0)
         BLOCK(1, "'type':'text','text':'a'") STOP(1) END("end_turn", ""),
     "text(a) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"a native stop sequence (llama-server says end_turn)",
     START BLOCK(0, "'type':'text','text':'a'") STOP(0) END("end_turn", ",'stop_sequence':'XX'"),
     "text(a) | stop_sequence(XX) | 5+15 9", ANSWER_MESSAGES, .stops = "['XX']"},
    {"a native window that is full",
     START BLOCK(0, "'type':'text','text':'a'") STOP(0) END("model_context_window_exceeded", ""),
     "text(a) | max_tokens | 5+15 9", ANSWER_MESSAGES},
    {"native error in Anthropic's shape",
     START E("error", ",'error':{'type':'overloaded_error','message':'busy'}"),
     "! overloaded_error: busy", ANSWER_MESSAGES},
    {"native error in OpenAI's shape",
     START BLOCK(0, "'type':'text','text':'a'") "event: error\n" D(
         "{'code':500,'message':'it broke','type':'server_error'}"),
     "text(a) ! api_error: it broke", ANSWER_MESSAGES},
    {"native kinds that nobody knows",
     START E("message_note", ",'message':'hi'") E("message_more", ",'message':{'a':1}")
         BLOCK(0, "'type':'text','text':'<think>a'") E("content_block_note", ",'index':0") STOP(0)
             END("end_turn", ""),
     "text(<think>a) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native nulls",
     START D("{'type':'content_block_start','index':0,'content_block':null}")
         D("{'type':'content_block_delta','index':0,'delta':null}")
             BLOCK(0, "'type':'text','text':'a'") STOP(0)
                 D("{'type':'message_delta','delta':null,'usage':null}") END("end_turn", ""),
     "text(a) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native, garbled amid text",
     START BLOCK(0, "'type':'text','text':'a'") D("{'type'") D("5") STOP(0) END("end_turn", ""),
     "text(a) | end_turn | 5+15 9", ANSWER_MESSAGES},
    {"native, garbled amid a call",
     START BLOCK(0, "'type':'tool_use','id':'call_abcdef','name':'f'")
         PIECE(0, "'type':'input_json_delta','partial_json':'{'") D("{'type'"),
     "tool(f call_abcdef {) ! api_error: a piece of the backend's tool call cannot be read",
     ANSWER_MESSAGES},
    {"native without message_stop",
     START BLOCK(0, "'type':'text','text':'a'") STOP(0)
         E("message_delta", ",'delta':{'stop_reason':'end_turn'},'usage':{'output_tokens':1}"),
     "text(a) | end_turn | 5+15 1", ANSWER_MESSAGES},
    {"native that is cut", START BLOCK(0, "'type':'text','text':'a'"),
     "text(a) ! api_error: the backend's answer ended before it was complete", ANSWER_MESSAGES},
    {"native whole",
     "{'id':'chatcmpl-1','type':'message','role':'assistant','model':'x.gguf','content':[{'type':"
     "'thinking','thinking':'t','signature':'sig'},{'type':'text','text':'a'},{'type':'tool_use','id':"
     "'call_abcdef','name':'f','input':{'a':1}},{'type':'tool_use','id':'call_ghijkl','name':'g'}],"
     "'stop_reason':'tool_use','stop_sequence':null,'usage':{'cache_read_input_tokens':15,"
     "'input_tokens':5,'output_tokens':9}}",
     "think(t sig) text(a) tool(f call_abcdef {\"a\":1}) tool(g call_ghijkl {}) | tool_use | 5+15 9",
     ANSWER_MESSAGES},
    {"native whole error",
     "{'type':'error','error':{'type':'not_found_error','message':'no model'}}",
     "! not_found_error: no model", ANSWER_MESSAGES},
};

static char *quoted(const char *text) {
    char *copy = mem_strdup(text ? text : "[]");
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

static struct answer *create(const struct row *row, bool stream, size_t max_bytes) {
    char *stops = quoted(row->stops);
    json_t *words = json_parse(stops, strlen(stops), 0, 0, NULL);
    struct answer_options options = {
        .source = row->source,
        .stream = stream,
        .thinking = !row->no_thinking,
        .model = "the \"model\"",
        .id = "msg_7f",
        .prompt_tokens = 50,
        .max_bytes = max_bytes,
        .stop_sequences = words,
    };
    struct answer *answer = answer_create(&options);
    json_decref(words);
    mem_free(stops);
    return answer;
}

// piece 0: cuts drawn from `seed`. Pings fall between the pieces where `pings` says so.
static void run(struct answer *answer, const char *text, size_t piece, unsigned seed, bool pings,
                struct buf *out) {
    struct err err = {ERR_NONE, ""};
    size_t length = strlen(text);
    bool ok = true;
    if (pings)
        answer_open(answer, out);
    for (size_t done = 0; ok && done < length;) {
        size_t n = piece ? piece : 1 + (size_t)(seed = seed * 1103515245u + 12345u) / 65536u % 90u;
        if (n > length - done)
            n = length - done;
        ok = answer_feed(answer, text + done, n, out, &err);
        done += n;
        if (pings)
            answer_ping(answer, out);
    }
    ok = ok && answer_end(answer, out, &err);
    if (!ok)
        answer_fail(answer, answer_status(answer), err.text, out);
    assert_int_equal(answer_complete(answer), ok);
    assert_true(ok || (err.code != ERR_NONE && *err.text));
    // Nothing follows the end.
    size_t before = out->length;
    answer_ping(answer, out);
    answer_fail(answer, 500, "again", out);
    answer_feed(answer, "data: {}\n\n", 10, out, NULL);
    assert_int_equal(out->length, before);
}

static void describe_block(struct buf *out, const json_t *block) {
    const char *type = json_get_text(block, "type", "");
    if (strcmp(type, "text") == 0)
        buf_printf(out, "text(%s) ", json_get_text(block, "text", "?"));
    else if (strcmp(type, "thinking") == 0)
        buf_printf(out, "think(%s%s%s) ", json_get_text(block, "thinking", "?"),
                   *json_get_text(block, "signature", "?") ? " " : "",
                   json_get_text(block, "signature", "?"));
    else
        buf_printf(out, "tool(%s %s %s) ", json_get_text(block, "name", "?"),
                   json_get_text(block, "id", "?"), json_get_text(block, "input", "?"));
}

static void describe(struct buf *out, const struct answer_check *check) {
    size_t i;
    const json_t *block, *usage = json_object_get(check->message, "usage");
    json_array_foreach(json_object_get(check->message, "content"), i, block)
        describe_block(out, block);
    if (check->failed) {
        buf_printf(out, "! %s", check->error);
        return;
    }
    const char *word = json_get_text(check->message, "stop_sequence", NULL);
    buf_printf(out, "| %s%s%s%s | %lld+%lld %lld",
               json_get_text(check->message, "stop_reason", "?"), word ? "(" : "", word ? word : "",
               word ? ")" : "", (long long)json_get_int(usage, "input_tokens", -1),
               (long long)json_get_int(usage, "cache_read_input_tokens", -1),
               (long long)json_get_int(usage, "output_tokens", -1));
}

static void assert_row(const struct row *row, const struct answer_check *check, const char *how) {
    struct buf said;
    buf_init(&said, 1u << 20);
    describe(&said, check);
    if (*check->fault)
        fail_msg("%s (%s): %s", row->name, how, check->fault);
    if (strcmp(buf_text(&said), row->expected) != 0)
        fail_msg("%s (%s):\n  said     %s\n  expected %s", row->name, how, buf_text(&said),
                 row->expected);
    if (check->message) {
        assert_string_equal(json_get_text(check->message, "id", ""), "msg_7f");
        assert_string_equal(json_get_text(check->message, "model", ""), "the \"model\"");
    }
    buf_fini(&said);
}

static void run_row(const struct row *row, const char *text, size_t piece, unsigned seed,
                    bool pings, struct buf *out) {
    struct answer *answer = create(row, true, 1u << 20);
    struct answer_check check;
    char how[60];
    snprintf(how, sizeof how, "stream, piece %zu, seed %u, pings %d", piece, seed, pings);
    buf_init(out, 1u << 20);
    run(answer, text, piece, seed, pings, out);
    check_stream(&check, buf_bytes(out), out->length);
    assert_row(row, &check, how);
    assert_true(!pings || check.pings > 0);
    check_free(&check);
    answer_destroy(answer);
}

// Every stream is fed whole, by bytes and in drawn cuts: the same bytes come out; with pings
// between, the same message.
static void test_streams(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = quoted(rows[i].input);
        struct buf first, out;
        run_row(&rows[i], text, strlen(text) + 1, 0, false, &first);
        for (unsigned seed = 0; seed < 12; seed++) {
            run_row(&rows[i], text, seed == 0, seed, false, &out);
            assert_int_equal(out.length, first.length);
            assert_memory_equal(buf_bytes(&out), buf_bytes(&first), first.length);
            buf_fini(&out);
            run_row(&rows[i], text, seed == 0, seed, true, &out);
            buf_fini(&out);
        }
        buf_fini(&first);
        mem_free(text);
    }
}

// A member that makes an event unusual: read as a tree, it says the same as in place.
static void test_trees(void **state) {
    static const char head[] = "{\"choices\":", more[] = "{\"x\":{},\"choices\":";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strstr(rows[i].expected, "not JSON"))
            continue; // quotes the event
        char *text = quoted(rows[i].input);
        struct buf changed, first, out;
        buf_init(&changed, 1u << 20);
        for (const char *p = text; *p;)
            if (str_starts(p, head)) {
                buf_adds(&changed, more);
                p += sizeof head - 1;
            } else {
                buf_add(&changed, p++, 1);
            }
        run_row(&rows[i], text, strlen(text) + 1, 0, false, &first);
        run_row(&rows[i], buf_text(&changed), changed.length + 1, 0, false, &out);
        assert_int_equal(out.length, first.length);
        assert_memory_equal(buf_bytes(&out), buf_bytes(&first), first.length);
        buf_fini(&changed);
        buf_fini(&first);
        buf_fini(&out);
        mem_free(text);
    }
}

// The same for a client that does not stream: the same message, or nothing where it fails.
static void test_whole(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = quoted(rows[i].input);
        for (unsigned seed = 0; seed < 4; seed++) {
            struct answer *answer = create(&rows[i], false, 1u << 20);
            struct answer_check check;
            struct buf out;
            buf_init(&out, 1u << 20);
            run(answer, text, seed == 0, seed, true, &out);
            if (strchr(rows[i].expected, '!')) {
                assert_int_equal(out.length, 0);
                assert_false(answer_opened(answer));
            } else {
                check_whole(&check, buf_bytes(&out), out.length);
                assert_row(&rows[i], &check, "whole");
                check_free(&check);
            }
            answer_destroy(answer);
            buf_fini(&out);
        }
        mem_free(text);
    }
}

static const struct row plain = {"plain", "", ""};

// What a call of the model looks like before it has spoken: the count is told early, the truth
// late.
static void test_early(void **state) {
    struct answer *answer = create(&plain, true, 1u << 20);
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_false(answer_opened(answer));
    answer_open(answer, &out);
    assert_true(answer_opened(answer));
    assert_non_null(strstr(buf_text(&out), "\"usage\":{\"input_tokens\":50,"));
    assert_non_null(strstr(buf_text(&out), "event: ping\n"));
    size_t before = out.length;
    answer_open(answer, &out);
    assert_int_equal(out.length, before);
    assert_int_equal(answer_usage(answer).input_tokens, 50);
    answer_destroy(answer);

    answer = create(&plain, false, 1u << 20);
    buf_clear(&out);
    answer_open(answer, &out);
    answer_ping(answer, &out);
    assert_int_equal(out.length, 0);
    assert_false(answer_opened(answer));
    answer_destroy(answer);
    buf_fini(&out);
}

static void test_say(void **state) {
    for (int stream = 0; stream < 2; stream++)
        for (int open = 0; open < 2; open++) {
            struct answer *answer = create(&plain, stream, 1u << 20);
            struct row row = {"say", "", "text(Not \"here\".) | end_turn | 50+0 0"};
            struct answer_check check;
            struct buf out;
            buf_init(&out, 1u << 20);
            if (open)
                answer_open(answer, &out);
            answer_say(answer, "Not \"here\".", &out);
            assert_true(answer_complete(answer));
            if (stream)
                check_stream(&check, buf_bytes(&out), out.length);
            else
                check_whole(&check, buf_bytes(&out), out.length);
            assert_row(&row, &check, stream ? "stream" : "whole");
            check_free(&check);
            answer_destroy(answer);
            buf_fini(&out);
        }
}

// Failing inside a block closes it first; failing before the first byte is one event.
static void test_fail(void **state) {
    static const struct row cases[] = {
        {"inside a thought", THINK("t"), "think(t) ! overloaded_error: gone"},
        {"inside a call",
         CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}"),
         "tool(f call_abcdef {) ! overloaded_error: gone"},
        {"before a word", "", "! overloaded_error: gone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer *answer = create(&cases[i], true, 1u << 20);
        char *text = quoted(cases[i].input);
        struct answer_check check;
        struct buf out;
        struct err err;
        buf_init(&out, 1u << 20);
        assert_true(answer_feed(answer, text, strlen(text), &out, &err));
        answer_fail(answer, 503, "gone", &out);
        assert_false(answer_complete(answer));
        assert_false(answer_feed(answer, text, strlen(text), &out, &err));
        check_stream(&check, buf_bytes(&out), out.length);
        assert_row(&cases[i], &check, "fail");
        check_free(&check);
        mem_free(text);
        answer_destroy(answer);
        buf_fini(&out);
    }
}

// The engine's HTTP 500 for its model's odd call, behind an early message_start.
static void test_fail_garbled(void **state) {
    static const char text[] = "Failed to parse input at pos 3: <tool_call>";
    static const struct row cases[] = {
        {"not open", "", "! api_error: Failed to parse input at pos 3: <tool_call>"},
        {"open", "",
         "text((My last output could not be read by the server: Failed to parse input at pos 3: "
         "<tool_call>)) | max_tokens | 50+0 0"},
    };
    struct answer_check check;
    struct buf out;
    for (int open = 0; open < 2; open++) {
        struct answer *answer = create(&plain, true, 1u << 20);
        buf_init(&out, 1u << 20);
        if (open)
            answer_open(answer, &out);
        answer_fail(answer, 500, text, &out);
        assert_int_equal(answer_complete(answer), open);
        check_stream(&check, buf_bytes(&out), out.length);
        assert_row(&cases[open], &check, "fail");
        check_free(&check);
        answer_destroy(answer);
        buf_fini(&out);
    }
}

static char *repeat(const char *head, const char *part, size_t count, const char *tail) {
    struct buf text;
    buf_init(&text, 1u << 26);
    buf_adds(&text, head);
    for (size_t i = 0; i < count; i++)
        buf_adds(&text, part);
    buf_adds(&text, tail);
    buf_text(&text);
    return buf_take(&text, NULL);
}

// Whatever would have to be kept has an end, wherever the bytes are cut.
static void test_bounds(void **state) {
    static const struct {
        const char *name, *head, *part, *tail, *expected;
        size_t count;
        bool whole; // the client does not stream
    } cases[] = {
        {"an endless event", "data: {'choices':[{'delta':{'content':'", "x", "", "an event",
         200000},
        {"an event too large", "data: {'choices':[{'delta':{'content':'", "x", "'}}]}\n\n",
         "an event", 5000},
        {"an endless line of comments", "", ": x\n", "", "an event", 100000},
        {"a deep event", "data: {'a':", "[", "\n\n", "is not JSON", 1000},
        {"a whole answer too large", "{'choices':[{'message':{'content':'", "x", "'}}]}",
         "the backend's answer is larger", 5000},
        {"text for a whole answer", "", TEXT("xxxxxxxxxx"), FINISH("stop"), "the answer is larger",
         1000, true},
        {"a call that waits too long",
         CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}"),
         CALL("{'index':1,'function':{'name':'g','arguments':'xxxxxxxxxx'}}"), "",
         "a part of the answer is larger", 1000},
        {"text amid a call",
         CALL("{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{'}}"),
         TEXT("xxxxxxxxxx"), "", "a part of the answer is larger", 1000},
        {"blanks", "", TEXT("          "), "", "a part of the answer is larger", 1000},
        {"a name", "",
         CALL("{'index':0,'function':{'name':'xxxxxxxxxx'}}")
             CALL("{'index':0,'function':{'name':'y'}}"),
         "", "the name of a tool", 200},
        {"calls", "", CALL("{'function':{'name':'f','arguments':'{}'}}"), "",
         "more than 512 tool calls", 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *raw = repeat(cases[i].head, cases[i].part, cases[i].count, cases[i].tail);
        char *text = quoted(raw);
        size_t length = strlen(text), sizes[] = {length, 100, 4096};
        for (size_t k = 0; k < 3; k++) {
            struct answer *answer = create(&plain, !cases[i].whole, 4096);
            struct answer_check check;
            struct err err = {ERR_NONE, ""};
            struct buf out;
            buf_init(&out, 1u << 24);
            bool ok = true;
            for (size_t done = 0; ok && done < length; done += sizes[k])
                ok = answer_feed(answer, text + done,
                                 sizes[k] < length - done ? sizes[k] : length - done, &out, &err);
            ok = ok && answer_end(answer, &out, &err);
            assert_false(ok);
            if (!strstr(err.text, cases[i].expected))
                fail_msg("%s: %s", cases[i].name, err.text);
            answer_fail(answer, 502, err.text, &out);
            if (!cases[i].whole) {
                check_stream(&check, buf_bytes(&out), out.length);
                assert_string_equal(check.fault, "");
                assert_true(check.failed);
                check_free(&check);
            }
            answer_destroy(answer);
            buf_fini(&out);
        }
        mem_free(text);
        mem_free(raw);
    }
}

// A client that takes nothing: what does not fit is told as a failure, and no event is cut.
static void test_small_out(void **state) {
    for (size_t room = 0; room < 2000; room += 7) {
        struct answer *answer = create(&plain, true, 1u << 20);
        char *text = quoted(THINK("t") TEXT("a") CALL(
            "{'index':0,'id':'call_abcdef','function':{'name':'f','arguments':'{}'}}")
                                FINISH("stop") DONE);
        struct answer_check check;
        struct err err = {ERR_NONE, ""};
        struct buf out;
        buf_init(&out, room);
        bool ok = answer_feed(answer, text, strlen(text), &out, &err);
        assert_int_equal(ok, answer_complete(answer));
        if (!ok) {
            assert_int_equal(err.code, ERR_LIMIT);
            answer_fail(answer, 502, err.text, &out);
        }
        check_stream(&check, buf_bytes(&out), out.length);
        assert_string_equal(check.fault, "");
        check_free(&check);
        mem_free(text);
        answer_destroy(answer);
        buf_fini(&out);
    }
}

int main(void) {
    log_set_level(LOG_LEVEL_ERROR); // a line for each garbled answer is none for a person
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),      cmocka_unit_test(test_trees),
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_early),
        cmocka_unit_test(test_say),          cmocka_unit_test(test_fail),
        cmocka_unit_test(test_fail_garbled), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_small_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
