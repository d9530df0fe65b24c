#include <stdio.h>
int main(void){puts("ancalagon");return 0;}
