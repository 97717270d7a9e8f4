/* The least that a C program can do: what starting one costs. */
int main(void)
{
    return 0;
}
