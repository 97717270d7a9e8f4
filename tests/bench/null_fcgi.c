/* The least that a FastCGI program can do, in as many threads as a calc-cgi works with: what a web
 * server and libfcgi cost. */
#include <fcgiapp.h>
#include <pthread.h>

static void *serve(void *nothing)
{
    FCGX_Request request;

    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0)
        FCGX_PutS("Content-Type: application/json\r\n\r\n{\"value\":7.0}", request.out);
    return nothing;
}

int main(void)
{
    pthread_t thread;

    FCGX_Init();
    for (int i = 1; i < 64; i++)
        pthread_create(&thread, NULL, serve, NULL);
    return serve(NULL) != NULL;
}
