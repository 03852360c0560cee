var e=class{#e=``;#t=[];push(e){let t=(this.#e+e).split(/\r\n|\n|\r(?!$)/);this.#e=t.pop()??``;let n=[];for(let e of t)e===``?(this.#t.length>0&&n.push(this.#t.join(`
`)),this.#t=[]):e.startsWith(`data:`)&&this.#t.push(e.slice(e.startsWith(`data: `)?6:5));return n}end(){return this.push(`

`)}};export{e as t};